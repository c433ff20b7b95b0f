"""Errors of the development environment; each message states what to do."""

from __future__ import annotations


class EngineError(Exception):
    """PostgreSQL or Valkey/Redis can't be found, started or stopped."""


class BrowserError(Exception):
    """No browser can be found."""
