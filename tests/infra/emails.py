"""Outgoing emails for tests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from preference_center.core.addresses import Channel, parse_address
from preference_center.infra.outbox import EmailKind, OutgoingEmail
from tests.clock import START

LINK = "https://preferences.example.com/o/secret-token"
LIFETIME = timedelta(hours=1)


def outgoing_email(
    to: str = "jane.doe@example.com", channel: Channel = Channel.EMAIL, **given: Any
) -> OutgoingEmail:
    """An email with a one-time link, with the given fields."""
    values: dict[str, Any] = {
        "id": uuid4(),
        "kind": EmailKind.ONE_TIME_LINK,
        "recipient": parse_address(to, channel),
        "language": "it",
        "brand": None,
        "values": {"link": LINK},
        "expires_at": START + LIFETIME,
    }
    return OutgoingEmail(**values | given)
