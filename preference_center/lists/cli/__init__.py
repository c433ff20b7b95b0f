"""`flask imports`, `flask export`, `flask scrub`, `flask snapshot`."""
