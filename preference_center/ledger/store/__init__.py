"""SQL of the ledger: look-ups, addresses, the state that is derived from events."""
