"""Tokens of links and of mail: as they come in URLs, and what a sender's key can seal."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from preference_center.core.errors import InvalidLink
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links import FormPurpose, Links
from preference_center.core.links.offline import base64url_encode, derive_secrets
from preference_center.core.links.tokens import LIFETIMES, SenderKey, derive_key

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
KEY = bytes(range(32))
SENDER = SenderKey(1, "shop", "k1", (ALL_MARKETING, "acme.news"), NOW)


@dataclass(frozen=True, slots=True)
class OneSender:
    """A registry that knows one link key."""

    def find_sender(self, key_id: int) -> SenderKey | None:
        """See Registry."""
        return SENDER if key_id == SENDER.id else None

    def permanent_links_since(self, destination: int) -> datetime | None:  # noqa: ARG002 - protocol
        """None: none was revoked."""
        return None

    def exact_digest(self, sha256: bytes) -> bytes:
        """Any will do."""
        return sha256


LINKS = Links([("k1", KEY)], "https://preferences.example.com", "stop.example.com", OneSender())
_SIV = derive_secrets(derive_key(KEY, f"sender {SENDER.id}", 32)).link_cipher


def token(data: bytes) -> None:
    """Any text in a URL is parsed, or refused with one error."""
    text = data.decode("utf-8", "surrogateescape")
    with suppress(InvalidLink):
        LINKS.read_token(text, NOW)
    for use in LIFETIMES:
        with suppress(InvalidLink):
            LINKS.read_one_time_token(text, use, NOW)
    for form in FormPurpose:
        with suppress(InvalidLink):
            LINKS.open_form(form, text, None, NOW)
    with suppress(InvalidLink):
        LINKS.read_mailto_token(text)


def sender_payload(data: bytes) -> None:
    """A sender may seal what it likes: it is refused, or can be stored as evidence."""
    with suppress(InvalidLink):
        link = LINKS.read_token(
            f"{SENDER.key_id}.{base64url_encode(_SIV.encrypt(data, None))}", NOW
        )
        assert link.scope in SENDER.topics
        assert "\0" not in link.message_id  # PostgreSQL's text can't hold it
        assert link.issued_at.isoformat()
