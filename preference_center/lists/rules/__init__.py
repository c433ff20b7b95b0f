"""How the columns and rows of a list are read. Pure."""
