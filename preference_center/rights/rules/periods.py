"""Periods of time as laws write them, counted in the company's time zone."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from preference_center.rights.rules.business_days import Jurisdiction, add_business_days


@dataclass(frozen=True, slots=True)
class Period:
    """A length of time, in exactly one of these units."""

    months: int = 0
    days: int = 0
    business_days: int = 0
    hours: int = 0
    jurisdiction: Jurisdiction = Jurisdiction.CALIFORNIA
    """Whose business days."""

    def after(self, start: datetime, zone: tzinfo) -> datetime:
        """When this period ends that begins at `start` (aware); in UTC.

        It ends at the same time of day in `zone`, which is never later than the last hour of
        that day, as most laws would allow. A time that the clocks skip counts as if they had
        not changed, one that they repeat as its first. It never moves on over a week-end or a
        holiday: that would be allowed (Regulation 1182/71 art. 3(4)), but nobody need wait.
        """
        if self.hours:
            return start.astimezone(UTC) + timedelta(hours=self.hours)
        local = start.astimezone(zone)
        last = add_months(local.date(), self.months) + timedelta(days=self.days)
        last = add_business_days(last, self.business_days, self.jurisdiction)
        return datetime.combine(last, local.time(), zone).astimezone(UTC)


def add_months(day: date, months: int) -> date:
    """The same day `months` later, or the last of that month: 31 January + 1 is 28 February.

    Source: Regulation (EEC, Euratom) 1182/71 art. 3(2)(c).
    """
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    length = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, length))
