"""Connections, transactions and the classification of PostgreSQL's errors."""
