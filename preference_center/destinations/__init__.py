"""The connected tools: set up, push, read back, ingest what they report, erase."""
