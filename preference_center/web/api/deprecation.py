"""What an operation of the API says when it will go: `Deprecation`, `Sunset` and a link.

docs/upgrading.md has the policy. No operation is deprecated at present.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from flask import Response

NOTICE = timedelta(days=180)
"""How long a deprecated operation works on, at least."""


@dataclass(frozen=True, slots=True)
class Deprecation:
    """An operation that nobody should begin to use, from `since` on; it ends at `sunset` (UTC)."""

    since: datetime
    sunset: datetime

    def __post_init__(self) -> None:
        """Raise ValueError for a date without its zone, and for too short a notice."""
        if self.since.tzinfo is None or self.sunset.tzinfo is None:
            raise ValueError("since and sunset need a time zone")
        if self.sunset - self.since < NOTICE:
            raise ValueError(f"the sunset is at least {NOTICE.days} days after the deprecation")

    def add_headers(self, response: Response, documentation: str) -> Response:
        """Add the headers; `documentation` is the URL of what to use instead.

        `Deprecation` is a Date of structured fields (RFC 9745 2.1), `Sunset` an HTTP date
        (RFC 8594 3), and the link's relation is that of RFC 9745 3.
        """
        response.headers["Deprecation"] = f"@{int(self.since.timestamp())}"
        response.headers["Sunset"] = format_datetime(self.sunset.astimezone(UTC), usegmt=True)
        response.headers.add("Link", f'<{documentation}>; rel="deprecation"; type="text/html"')
        return response
