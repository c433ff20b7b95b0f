"""The web application with a stream that waits for no database: for WEB_APP."""

from __future__ import annotations

from preference_center.decisions.api import stream
from workers.asgi import app

__all__ = ("app",)

stream.OUTAGE_PATIENCE = 0.0  # type: ignore[attr-defined]  # imported there
