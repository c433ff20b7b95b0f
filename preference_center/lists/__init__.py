"""Lists of addresses: imports, scrubbing, export."""
