"""Imports: their files, their plans and their state."""
