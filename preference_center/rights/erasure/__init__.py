"""Erase a person everywhere, and keep them erased."""
