"""Decide about requests without I/O: kinds, laws, deadlines, identity and decisions."""
