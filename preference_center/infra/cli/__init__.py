"""`flask keys` of the service (`generate`, `status`, `rotate`), and `flask redis`."""
