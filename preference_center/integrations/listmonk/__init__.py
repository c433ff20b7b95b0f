"""listmonk."""
