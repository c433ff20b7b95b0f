"""The feed of changes has one order, readers and publishers."""
