"""Fuzzing of whatever strangers can send: `make fuzz SECONDS=60`.

Each target is a function of bytes that returns for any input, and raises only for a
bug. `corpus/` keeps inputs that reached something, and every one that once broke a target;
tests/fuzz runs them all. Never imported by the service or its workers.
"""
