"""A service with a catalogue."""

# ruff: noqa: F401 - fixtures of another folder are imported by name

from __future__ import annotations

from tests.inbound.mail.fixtures import app, ledger
