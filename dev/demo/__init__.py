"""What `make run` shows: a made-up company, its contacts, its mail and its two tools."""
