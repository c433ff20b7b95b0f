"""Hold the rules about contacts and their choices, without I/O."""
