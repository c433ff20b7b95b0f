"""The local part of a mailto opt-out: all that a mail client sends back (RULES A10, A11)."""

from __future__ import annotations

import hmac
from base64 import b32decode, b32encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from hashlib import sha256
from struct import Struct

from preference_center.errors import InvalidLink
from preference_center.links.link_payload import Link
from preference_center.links.sealer import INVALID_LINK_MESSAGE, derive_key

DIGEST_PREFIX_BYTES = 16
"""How much of an exact digest a mail token holds: too much for two addresses to share."""

_TOKEN_LAYOUT = Struct(">6sH16s")  # scope, day, address
_TOKEN_EPOCH = date(2020, 1, 1)


@dataclass(frozen=True, slots=True)
class MailtoTokenData:
    """What the local part of a mailto opt-out says.

    64 octets can't hold an address, so the first PREFIX_OCTETS of its exact digest name it.
    """

    digest_prefix: bytes
    scope_hash: bytes
    issued_on: date | None
    """None where a sender made it offline: no room."""
    key_id: str

    def match_scope(self, scopes: Iterable[str]) -> str | None:
        """The scope meant, out of the catalogue's topic keys and ALL_MARKETING."""
        return next((scope for scope in scopes if hash_scope(scope) == self.scope_hash), None)


class MailtoTokenCodec:
    """Makes and reads mail tokens with a ring of keys."""

    __slots__ = ("_keys",)

    def __init__(self, ring: Sequence[tuple[str, bytes]]) -> None:
        self._keys = {key_id: derive_key(key, "mail") for key_id, key in ring}

    def encode(self, link: Link, digest: bytes) -> str:
        """64 characters, case-insensitive; see `Links.mail_token`."""
        key = next(iter(self._keys.values()))
        day = (link.issued_at.astimezone(UTC).date() - _TOKEN_EPOCH).days
        body = _TOKEN_LAYOUT.pack(hash_scope(link.scope), day, digest[:DIGEST_PREFIX_BYTES])
        return b32encode(body + _mac(key, body)).decode().lower()

    def decode(self, text: str) -> MailtoTokenData:
        """What a mail token says, in whatever case it came. Raises InvalidLink."""
        try:
            raw = b32decode(text.encode("ascii").upper())
        except ValueError:
            raise InvalidLink(INVALID_LINK_MESSAGE) from None
        body, mac = raw[: _TOKEN_LAYOUT.size], raw[_TOKEN_LAYOUT.size :]
        for key_id, key in self._keys.items():
            if hmac.compare_digest(_mac(key, body), mac):
                mark, day, prefix = _TOKEN_LAYOUT.unpack(body)
                return MailtoTokenData(prefix, mark, _TOKEN_EPOCH + timedelta(days=day), key_id)
        raise InvalidLink(INVALID_LINK_MESSAGE)


def hash_scope(scope: str) -> bytes:
    """What stands for a scope in a mail token."""
    return sha256(scope.encode()).digest()[:6]


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, "sha256")[:16]
