"""What the service measures of itself, for Prometheus and for alerts of its own.

`measure` reads the database and the host, `collectors` gives that to Prometheus, `alerting`
informs people by email and webhook. docs/monitoring.md describes all of it.
"""
