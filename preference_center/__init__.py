"""Marketing preference center and suppression service."""
