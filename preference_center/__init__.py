"""Marketing preference center and suppression service."""

__version__ = "0.1.0"
