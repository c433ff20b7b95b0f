"""What all surfaces share: layout of pages, emails, `/v1`, the console, translations."""
