"""`flask keys`, `flask redis` and `flask rotate`."""
