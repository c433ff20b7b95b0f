"""The demo and the servers that it and tests start: never imported by the service or its workers.

A wheel has this folder, for `preference-center run`, but not `maintenance`.
"""
