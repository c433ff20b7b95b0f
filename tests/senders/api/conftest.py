"""A service with a catalogue, and a sender that asks it."""

# ruff: noqa: F401 - fixtures of another folder are imported by name

from __future__ import annotations

from tests.web.api.fixtures import in_force, sender
