"""Data-subject requests: access, correction, erasure, restriction, closing; agents and minors."""
