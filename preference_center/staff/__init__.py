"""Staff of the console: accounts of our own, and sessions."""
