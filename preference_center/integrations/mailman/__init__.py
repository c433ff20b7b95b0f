"""Mailman."""
