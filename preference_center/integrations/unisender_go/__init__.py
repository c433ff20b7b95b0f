"""Unisender Go."""
