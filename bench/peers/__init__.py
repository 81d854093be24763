"""Servers of other projects, each answering with the same SavedModel, in an environment of its own."""
