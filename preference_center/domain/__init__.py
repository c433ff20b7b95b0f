"""The rules: pure, no I/O, no clock, no Flask. Time is an argument."""
