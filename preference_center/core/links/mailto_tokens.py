"""The local part of a mailto opt-out address (RULES A10, A11)."""

from __future__ import annotations

import hmac
from base64 import b32decode, b32encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from hashlib import sha256
from struct import Struct

from preference_center.core.errors import InvalidLink
from preference_center.core.links.link_payload import Link
from preference_center.core.links.sealer import INVALID_LINK_MESSAGE, derive_key

DIGEST_PREFIX_BYTES = 16
"""Length of the part of an exact digest in a mailto token; enough to avoid collisions."""

_TOKEN_LAYOUT = Struct(">6sH16s")  # scope, day, address
_TOKEN_EPOCH = date(2020, 1, 1)


@dataclass(frozen=True, slots=True)
class MailtoTokenData:
    """The content of the local part of a mailto opt-out.

    A local part has 64 bytes, too few for an address, so it has the first
    DIGEST_PREFIX_BYTES of its exact digest.
    """

    digest_prefix: bytes
    scope_hash: bytes
    issued_on: date | None
    """None for a token that a sender made offline."""
    key_id: str

    def match_scope(self, scopes: Iterable[str]) -> str | None:
        """The scope among `scopes`: the catalogue's topic keys and ALL_MARKETING."""
        return next((scope for scope in scopes if hash_scope(scope) == self.scope_hash), None)


class MailtoTokenCodec:
    """Makes and reads mailto tokens with a ring of keys."""

    __slots__ = ("_keys",)

    def __init__(self, ring: Sequence[tuple[str, bytes]]) -> None:
        self._keys = {key_id: derive_key(key, "mail") for key_id, key in ring}

    def encode(self, link: Link, digest: bytes) -> str:
        """64 characters, case-insensitive; see `Links.create_mailto_token`."""
        key = next(iter(self._keys.values()))
        day = (link.issued_at.astimezone(UTC).date() - _TOKEN_EPOCH).days
        body = _TOKEN_LAYOUT.pack(hash_scope(link.scope), day, digest[:DIGEST_PREFIX_BYTES])
        return b32encode(body + _mac(key, body)).decode().lower()

    def decode(self, text: str) -> MailtoTokenData:
        """The content of a mailto token, in any case. Raises InvalidLink."""
        try:
            raw = b32decode(text.encode("ascii").upper())
        except ValueError:
            raise InvalidLink(INVALID_LINK_MESSAGE) from None
        body, mac = raw[: _TOKEN_LAYOUT.size], raw[_TOKEN_LAYOUT.size :]
        for key_id, key in self._keys.items():
            if hmac.compare_digest(_mac(key, body), mac):
                scope_hash, day, prefix = _TOKEN_LAYOUT.unpack(body)
                issued_on = _TOKEN_EPOCH + timedelta(days=day)
                return MailtoTokenData(prefix, scope_hash, issued_on, key_id)
        raise InvalidLink(INVALID_LINK_MESSAGE)


def hash_scope(scope: str) -> bytes:
    """The hash of a scope in a mailto token."""
    return sha256(scope.encode()).digest()[:6]


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, "sha256")[:16]
