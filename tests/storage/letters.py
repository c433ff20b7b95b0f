"""Letters to post in tests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from preference_center.domain.addresses import Channel, parse
from preference_center.storage.mail.outbox import Letter, LetterKind
from tests.clock import START

LINK = "https://preferences.example.com/o/secret-token"
LIVES = timedelta(hours=1)


def letter(
    to: str = "jane.doe@example.com", channel: Channel = Channel.EMAIL, **given: Any
) -> Letter:
    """A letter with a one-time link, but for what is given."""
    values: dict[str, Any] = {
        "id": uuid4(),
        "kind": LetterKind.ONE_TIME_LINK,
        "to": parse(to, channel),
        "language": "it",
        "brand": None,
        "values": {"link": LINK},
        "expires_at": START + LIVES,
    }
    return Letter(**values | given)
