"""Signed webhooks to a company's own programs."""
