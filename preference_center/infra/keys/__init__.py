"""Keys: their fingerprints, senders' keys for links, and the rotation of stored data."""
