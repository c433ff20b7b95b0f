"""An import: read, plan, apply, undo."""
