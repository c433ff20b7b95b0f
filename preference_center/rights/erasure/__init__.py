"""Erase a person everywhere, and keep it so."""
