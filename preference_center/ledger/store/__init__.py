"""These statements read the ledger and what is derived from it."""
