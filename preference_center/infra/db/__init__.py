"""The connection to PostgreSQL: transactions, outages, migrations."""
