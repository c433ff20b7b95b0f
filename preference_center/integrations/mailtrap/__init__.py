"""Mailtrap."""
