"""How rows of a list are read: pure."""
