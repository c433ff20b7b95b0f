"""Rules about contacts and their choices: pure."""
