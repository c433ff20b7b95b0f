"""Setting destinations up, and making their connectors."""
