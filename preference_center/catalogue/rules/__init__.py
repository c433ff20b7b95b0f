"""The model of a catalogue, its checks, and the comparison of two. Pure."""
