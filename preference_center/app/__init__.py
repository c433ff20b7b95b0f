"""The applications made of all subjects: web, console, and the service of commands and workers."""
