"""A mail server, and a service that writes to it."""

# ruff: noqa: F401 - fixtures of a module are imported by name

from __future__ import annotations

from tests.infra.smtp.fixtures import _context, server, stub
