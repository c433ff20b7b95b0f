"""Values and rules that every subject shares: addresses, events, deadlines, keys, links.

No I/O and no clock: time is an argument.
"""
