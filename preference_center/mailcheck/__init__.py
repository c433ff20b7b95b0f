"""Check what recipients and mail clients really get: a sent mail, and the hosts of its links.

The checks change nothing. Findings never contain an address or a token (I12).
"""
