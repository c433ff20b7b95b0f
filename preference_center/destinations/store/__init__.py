"""These statements are about destinations, sync states, deliveries and webhooks."""
