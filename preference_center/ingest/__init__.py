"""Record what connected tools report."""
