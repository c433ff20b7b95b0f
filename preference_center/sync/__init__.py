"""Bringing every destination to the current state, and verifying that it holds."""
