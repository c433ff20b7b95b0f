"""The type of every point in time."""

from __future__ import annotations

from sqlalchemy import DateTime

Moment = DateTime(timezone=True)
