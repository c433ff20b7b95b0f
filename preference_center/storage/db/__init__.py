"""Connections, transactions and what PostgreSQL says when they fail."""
