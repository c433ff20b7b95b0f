"""What the service runs on: settings, database, Redis, job queue, metrics, serving, commands."""
