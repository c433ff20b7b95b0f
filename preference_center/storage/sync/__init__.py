"""Destinations and their sync states, listings and received webhooks."""
