"""Importing lists from elsewhere: plan first, then apply in chunks, resume, undo."""
