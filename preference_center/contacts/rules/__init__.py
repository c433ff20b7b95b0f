"""Choices of a person, timelines, and closing of accounts. Pure."""
