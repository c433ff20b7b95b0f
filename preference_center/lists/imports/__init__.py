"""Import a list: read, plan, apply, undo."""
