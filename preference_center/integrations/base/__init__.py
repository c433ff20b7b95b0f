"""What all integrations share: the contract, HTTP, rate limits, batching and webhooks."""
