"""Rotating the keys of stored data, while the service runs: see docs/deploy.md."""
