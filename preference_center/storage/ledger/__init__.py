"""Addresses, events and the suppressions that they fold to."""
