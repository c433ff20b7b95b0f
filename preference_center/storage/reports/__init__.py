"""Counts per day that reports are read from, so that none of them reads the ledger."""
