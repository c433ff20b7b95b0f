"""Types for fields of tools' answers, for models of pydantic."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator

from preference_center.domain.news.reading import iso_moment

Moment = Annotated[datetime | None, BeforeValidator(iso_moment)]
"""A time of ISO 8601 (UTC). None for nonsense and for a time without a zone: a date that
can't be read must not hold up the rows around it, which then count from receipt."""
