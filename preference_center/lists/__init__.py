"""Lists of addresses: imports, scrubbing and export."""
