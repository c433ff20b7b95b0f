"""The application for the `flask` command, which looks for `app.py` in its folder."""

from __future__ import annotations

from preference_center.preference_center_main import create_app

__all__ = ["create_app"]
