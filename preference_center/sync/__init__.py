"""Bring every destination to the current state, and verify that it keeps it."""
