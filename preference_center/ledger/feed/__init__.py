"""The feed of changes: its order, its readers and publishers."""
