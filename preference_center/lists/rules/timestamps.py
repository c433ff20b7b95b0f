"""Dates as exports write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta, tzinfo
from email.utils import parsedate_to_datetime

from preference_center.lists.rules.date_formats import DateFormat

_EPOCH = re.compile(r"\d{9,10}(?:\.\d+)?|\d{12,13}")
_MIN_MILLISECONDS = 1e11
"""The largest number of seconds; a larger one would be after the year 5000."""
# As Go prints a time, which listmonk exports: 2024-01-02 10:00:00.12345 +0000 UTC m=+0.1
_GO_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.\d+)? ([+-]\d{4}) \S+(?: m=[+-][\d.]+)?"
)
# RFC 5322 3.3. Its parser is lenient: "Nov 26, 2024 3:04 PM" would lose the PM.
_MAIL_DATE = re.compile(
    r"(?:[A-Z][a-z]{2}, ?)?\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d(?::\d\d)?"
    r"(?: (?:[+-]\d{4}|[A-Z]{1,5}))?"
)
_DATE = re.compile(r"\d{4}-?\d\d-?\d\d")


def parse_timestamp(
    text: str, zone: tzinfo, *, end_of_day: bool, formats: Sequence[DateFormat] = ()
) -> datetime | None:
    """The time in UTC; None if it can't be parsed, or is ambiguous (03/04/2024).

    The `formats`, else ISO 8601, seconds or milliseconds since 1970, RFC 5322 and Go's format. A
    time without a zone is in `zone`. A bare date is the end of its day or its beginning.
    """
    text = text.strip()
    try:
        for each in formats:
            if stated := each.parse(text, zone):
                return _end_of_day(stated, end_of_day=end_of_day and each.is_day)
        if _EPOCH.fullmatch(text):
            number = float(text)
            return datetime.fromtimestamp(number / (1000 if number > _MIN_MILLISECONDS else 1), UTC)
        if _DATE.fullmatch(text):
            day = datetime.fromisoformat(text).date()
            return _end_of_day(datetime.combine(day, time.min, zone), end_of_day=end_of_day)
        if go := _GO_TIMESTAMP.fullmatch(text):
            return datetime.strptime(f"{go[1]} {go[2]}", "%Y-%m-%d %H:%M:%S %z").astimezone(UTC)
        is_mail = _MAIL_DATE.fullmatch(text)
        moment = parsedate_to_datetime(text) if is_mail else datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        return None


def _end_of_day(moment: datetime, *, end_of_day: bool) -> datetime:
    return (moment + timedelta(days=1, seconds=-1) if end_of_day else moment).astimezone(UTC)
