"""Who may do what: API keys, link keys, one-time tokens, idempotency keys and the audit."""
