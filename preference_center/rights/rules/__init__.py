"""Kinds, laws, deadlines, identity and decisions of requests. Pure."""
