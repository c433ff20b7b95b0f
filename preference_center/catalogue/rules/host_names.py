"""How host names are written in a catalogue (RFC 1123 2.1)."""

from __future__ import annotations

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"

HOST_NAME = rf"{_LABEL}(?:\.{_LABEL})*"
"""A regular expression for one in small letters; it does not limit the length as a whole."""
