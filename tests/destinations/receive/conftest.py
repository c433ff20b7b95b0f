"""A service with a catalogue."""

# ruff: noqa: F401 - a fixture of another folder is imported by name

from __future__ import annotations

from tests.inbound.mail.fixtures import app
