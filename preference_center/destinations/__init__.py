"""A destination is a connected tool: we set it up, push to it, read it, and erase people in it."""
