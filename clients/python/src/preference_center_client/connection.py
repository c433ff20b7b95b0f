"""What both clients need to know to connect."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from preference_center_client.retries import RetryPolicy

USER_AGENT = "preference-center-client/0.1"


CONNECT_SECONDS = 1.0
SHORTEST_SECONDS = 0.05
"""Of an attempt, when a wait before it took longer than it should have."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds for one attempt, between two pieces of the response, and for the whole call.

    After `call` seconds no attempt begins or goes on waiting. The service's documentation
    (docs/integrating.md) has the percentiles behind the defaults.
    """

    attempt: float
    call: float

    def to_httpx(self, left: float) -> httpx.Timeout:
        """Those of one attempt, for httpx; `left` is what remains of the whole call, in seconds."""
        seconds = max(min(self.attempt, left), SHORTEST_SECONDS)
        return httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS))


READ_LIMITS = TimeLimits(2.0, 5.0)
"""Somebody may be waiting for a decision."""

WRITE_LIMITS = TimeLimits(30.0, 90.0)
"""An opt-out has to arrive."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the service is, the key of a sender, and how long to try.

    Raises ValueError for a URL that is none, or without a key.
    """

    url: str
    key: str = field(repr=False)
    read: TimeLimits = READ_LIMITS
    write: TimeLimits = WRITE_LIMITS
    retries: RetryPolicy = field(default_factory=RetryPolicy)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("the URL of the service looks like https://preferences.example.com")
        if not self.key:
            raise ValueError("no key: an operator makes one with `keys add`")

    @property
    def base_url(self) -> str:
        """The URL without a trailing slash."""
        return self.url.rstrip("/")

    @property
    def headers(self) -> dict[str, str]:
        """Headers of every request."""
        return {
            "Authorization": f"Bearer {self.key}",
            "Accept": "application/json",
            "User-Agent": USER_AGENT,
        }
