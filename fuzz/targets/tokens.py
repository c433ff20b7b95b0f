"""Tokens of links and of mail: as they come in URLs, and what a sender's key can seal."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from preference_center.domain.events import ALL_MARKETING
from preference_center.errors import InvalidLink
from preference_center.links import LIFETIMES, Links, SealedForm, SenderKey
from preference_center.links.offline import derive, encoded
from preference_center.links.sealer import derived

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
KEY = bytes(range(32))
SENDER = SenderKey(1, "shop", "k1", (ALL_MARKETING, "acme.news"), NOW)


@dataclass(frozen=True, slots=True)
class OneSender:
    """A registry that knows one link key."""

    def sender(self, number: int) -> SenderKey | None:
        """See Registry."""
        return SENDER if number == SENDER.id else None

    def standing_since(self, destination: int) -> datetime | None:  # noqa: ARG002 - the protocol's
        """None: none was revoked."""
        return None

    def digest(self, sha256: bytes) -> bytes:
        """Any will do."""
        return sha256


LINKS = Links([("k1", KEY)], "https://preferences.example.com", "stop.example.com", OneSender())
_SIV = derive(derived(KEY, f"sender {SENDER.id}", 32)).siv


def token(data: bytes) -> None:
    """Whatever stands in a URL says something, or is refused with one error."""
    text = data.decode("utf-8", "surrogateescape")
    with suppress(InvalidLink):
        LINKS.read(text, NOW)
    for use in LIFETIMES:
        with suppress(InvalidLink):
            LINKS.read_pass(text, use, NOW)
    for form in SealedForm:
        with suppress(InvalidLink):
            LINKS.read_form(form, text, None, NOW)
    with suppress(InvalidLink):
        LINKS.read_mail_token(text)


def sender_payload(data: bytes) -> None:
    """A sender may seal what it likes: it is refused, or can be stored as evidence."""
    with suppress(InvalidLink):
        link = LINKS.read(f"{SENDER.key_id}.{encoded(_SIV.encrypt(data, None))}", NOW)
        assert link.scope in SENDER.topics
        assert "\0" not in link.message_id  # PostgreSQL's text can't hold it
        assert link.issued_at.isoformat()
