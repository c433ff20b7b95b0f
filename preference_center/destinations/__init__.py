"""Connected tools: set up, push, read back, scan, and ingest what they report."""
