"""Fuzzing of whatever strangers can send: `make fuzz SECONDS=60`.

Each target is a function of octets that returns whatever they are, and raises only for a
bug. `corpus/` keeps inputs that reached something, and every one that once broke a target;
tests/fuzz runs them all. Never imported by the service or its workers.
"""
