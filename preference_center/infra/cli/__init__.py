"""These commands of `flask` look after the database, Redis and the keys of the service."""
