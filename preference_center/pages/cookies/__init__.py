"""The consent tool of the company's sites: its texts, the choices it records, a page without it."""
