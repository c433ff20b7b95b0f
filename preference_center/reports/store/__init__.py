"""Modules that are being moved."""
