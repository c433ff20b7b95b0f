"""The base of pages, emails, `/v1` and the console: the surfaces of every subject use it."""
