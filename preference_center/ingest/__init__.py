"""Recording what connected tools report."""
