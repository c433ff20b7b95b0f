"""Letters to post in tests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from preference_center.domain.addresses import Channel, parse_address
from preference_center.storage.mail.outbox import EmailKind, OutgoingEmail
from tests.clock import START

LINK = "https://preferences.example.com/o/secret-token"
LIVES = timedelta(hours=1)


def letter(
    to: str = "jane.doe@example.com", channel: Channel = Channel.EMAIL, **given: Any
) -> OutgoingEmail:
    """A letter with a one-time link, but for what is given."""
    values: dict[str, Any] = {
        "id": uuid4(),
        "kind": EmailKind.ONE_TIME_LINK,
        "recipient": parse_address(to, channel),
        "language": "it",
        "brand": None,
        "values": {"link": LINK},
        "expires_at": START + LIVES,
    }
    return OutgoingEmail(**values | given)
