"""States, plans and promises of destinations: pure."""
