"""Days on which offices work, for the laws that count in business days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from itertools import islice

import holidays

_SATURDAY = 5


class Jurisdiction(StrEnum):
    """Whose public holidays count, as an ISO 3166-2 code."""

    CALIFORNIA = "US-CA"


def add_business_days(start: date, days: int, jurisdiction: Jurisdiction) -> date:
    """The `days`-th business day after `start`, which itself does not count."""
    return next(islice(_business_days_from(start, jurisdiction), days, None))


def _business_days_from(start: date, jurisdiction: Jurisdiction) -> Iterator[date]:
    """`start` itself, whatever day it is, and every business day after it."""
    closed, day = _public_holidays(jurisdiction), start
    yield day
    while True:
        day += timedelta(days=1)
        if day.weekday() < _SATURDAY and day not in closed:
            yield day


@cache
def _public_holidays(jurisdiction: Jurisdiction) -> holidays.HolidayBase:
    """The library computes a year when it is first asked for a day of it."""
    country, _, subdivision = jurisdiction.partition("-")
    return holidays.country_holidays(country, subdiv=subdivision)
