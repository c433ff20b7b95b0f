"""Values and rules that every subject shares: addresses, channels, events, deadlines, links.

No I/O and no clock: time is an argument.
"""
