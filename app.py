"""The application for the `flask` command, which looks for `app.py` in its folder."""

from __future__ import annotations

from preference_center.__main__ import create_app

__all__ = ["create_app"]
