"""Stored data depends on keys: here are their fingerprints, senders' link keys and rotation."""
