"""A small catalogue in force, and links to people in it."""

# ruff: noqa: F401 - fixtures of a module are imported by name

from __future__ import annotations

from tests.web.pages.fixtures import app, ledger, make_token, proven, subscribed, token
