"""Stored keys: fingerprints, keys of links, rotation."""
