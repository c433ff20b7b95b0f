"""SQL of destinations, sync states, deliveries and webhooks."""
