"""Real processes under load, struck at random, and books that must balance afterwards.

`make chaos MINUTES=10 SEED=1`; docs/reliability.md says what it shows. Never imported by
the service or its workers.
"""
