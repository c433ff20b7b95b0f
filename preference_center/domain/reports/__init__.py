"""What reports are made of: periods, counts without small cells, and times to reflect."""
