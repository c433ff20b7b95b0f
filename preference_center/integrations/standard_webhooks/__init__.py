"""Reports of a company's own programs as Standard Webhooks."""
