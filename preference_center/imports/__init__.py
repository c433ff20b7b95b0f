"""Import lists: plan first, then apply in chunks, resume, undo."""
