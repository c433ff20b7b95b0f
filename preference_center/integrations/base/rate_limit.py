"""A tool's rate limit, as a connector's requests see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from preference_center.integrations.base.capabilities import RateLimit
from preference_center.integrations.base.contract import DeliveryError

RateLimitHeaders = Callable[[int, Mapping[str, str], datetime], timedelta | None]
"""Status, headers (names in lower case) and the time of a response to how long the tool accepts
no more requests; None if the headers don't state it."""


class RateLimited(DeliveryError):
    """The rate limit permits no request within this lease: nothing was sent.

    No failure of the tool. `retry_after` is when a request will be permitted.
    """


@dataclass(frozen=True, slots=True)
class EndpointRateLimit:
    """A tool's limit for one kind of its requests, which count for the account's rate too."""

    name: str
    rate_limit: RateLimit


class RequestRateLimiter(Protocol):
    """When the next request to one destination may be sent; shared by all its workers."""

    def reserve(self, max_wait: float) -> float:
        """Seconds to wait before sending, at most `max_wait`; the request is then counted.

        Raises RateLimited, with nothing counted, where the wait would be longer.
        """
        ...

    def pause(self, seconds: float) -> None:
        """Permit no request for so long."""
        ...

    def with_limit(self, limit: EndpointRateLimit) -> RequestRateLimiter:
        """The limiter of requests that a further limit applies to: each counts for both."""
        ...


class NullRateLimiter:
    """No limit, as in tests and for folders."""

    def reserve(self, max_wait: float) -> float:  # noqa: ARG002 - the protocol's
        """0: at once."""
        return 0.0

    def pause(self, seconds: float) -> None:
        """Nothing: the push itself fails with the tool's `retry_after`."""

    def with_limit(self, limit: EndpointRateLimit) -> RequestRateLimiter:  # noqa: ARG002 - the protocol's
        """Itself: no limit either."""
        return self


def parse_reset_headers(remaining: str, reset: str, *, epoch: bool) -> RateLimitHeaders:
    """The `RateLimitHeaders` of a pair of headers: none remaining, so wait until the reset.

    `reset` gives seconds (or milliseconds) since 1970 if `epoch`, else seconds from now.
    """

    def parse(_: int, headers: Mapping[str, str], now: datetime) -> timedelta | None:
        left, until = _parse_number(headers.get(remaining)), _parse_number(headers.get(reset))
        if left is None or left > 0 or until is None:
            return None
        if epoch and until > _MIN_MILLISECONDS:
            until /= 1000
        return timedelta(seconds=max(0.0, until - now.timestamp() if epoch else until))

    return parse


_MIN_MILLISECONDS = 1e11
"""Seconds since 1970 reach it in the year 5138."""


def _parse_number(text: str | None) -> float | None:
    text = (text or "").strip()
    return float(text[:15]) if text.isascii() and text.isdigit() else None
