"""The surfaces of every subject use this base of pages, emails, `/v1` and the console."""
