"""Facades: the protocols of other servers, spoken at their paths; each is a thin translation around one service."""
