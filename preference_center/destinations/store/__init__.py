"""Statements about destinations, sync states, deliveries and webhooks."""
