"""When to try again, and how long to wait before. Pure: no I/O and no clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""Responses after which the same request may succeed."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to try. Times are in seconds.

    The wait doubles from `first_delay` to `longest_delay`, less a random part of up to half, so
    that many clients do not return at once. `Retry-After` is honoured: never sooner, and if it
    lies beyond what is left of the call's time, the call fails at once.
    """

    attempts: int = 3
    first_delay: float = 0.2
    longest_delay: float = 5.0

    def delay(
        self,
        attempt: int,
        seconds_left: float,
        retry_after: float | None,
        draw: Callable[[], float],
    ) -> float | None:
        """Seconds to wait after failed attempt number `attempt` (from 1); None to give up.

        `seconds_left` is what remains of the call's time; `draw` returns a number from 0 to 1.
        """
        if attempt >= self.attempts:
            return None
        backoff = min(self.first_delay * 2 ** (attempt - 1), self.longest_delay)
        wait = max(backoff * (1 - draw() / 2), retry_after or 0.0)
        return wait if wait < seconds_left else None


NO_RETRIES = RetryPolicy(attempts=1)


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds of a Retry-After header: a number, or a date (RFC 9110 10.2.3). None if unreadable.

    `now` is an aware datetime.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isdecimal():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())
