"""A service that writes mails."""

# ruff: noqa: F401 - a fixture of another folder is imported by name

from __future__ import annotations

from tests.infra.smtp.fixtures import _context
