"""Real processes under load, struck at random, and an audit that must pass afterwards.

`make chaos MINUTES=10 SEED=1`; docs/evidence/reliability.md describes what it shows.
Never imported by the service or its workers.
"""
