"""The hub's own REST API, one file per noun; paths are those of ``hub.protocol.paths``."""
