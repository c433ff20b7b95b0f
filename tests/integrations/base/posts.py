"""Requests as tools make them, for the tests of what is read of them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime

from preference_center.integrations.base.vendor_events import WebhookRequest

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
URL = "https://preferences.example.com/in/mailer"
ANNA = "anna@example.com"
GUARDED = {"webhook_secret": "long-and-random-secret", "networks": "203.0.113.0/24"}


def post(
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    secret: str = "",
    method: str = "POST",
    remote: str = "203.0.113.7",
) -> WebhookRequest:
    return WebhookRequest(method, URL, secret, headers or {}, body, remote)


def basic(credentials: str) -> dict[str, str]:
    """The header of HTTP basic authentication."""
    return {"authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"}
