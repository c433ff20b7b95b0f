"""Link keys of senders, and reading the tokens that were made with them offline.

The secret of a sender's key is derived from one key of our ring and the sender's id, so
nothing secret is stored, and nobody can derive another sender's key or ours from one. It
makes message links only: the format of its tokens has no field for another purpose.
"""

from __future__ import annotations

import hmac
import json
import re
import struct
from base64 import b32decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import InvalidAddress, InvalidLink
from preference_center.core.links.link_payload import Link
from preference_center.core.links.mailto_tokens import (
    DIGEST_PREFIX_BYTES,
    MailtoTokenData,
    hash_scope,
)
from preference_center.core.links.offline import (
    CHANNEL_MASK,
    CHANNELS,
    KEY_TEXT_PREFIX,
    LINK_HEADER,
    MAILTO_HEADER,
    MAX_KEY_ID,
    SECRET_BYTES,
    SENDER_TOKEN_PREFIX,
    TAG_BYTES,
    UUID_FLAG,
    DerivedSecrets,
    base64url_decode,
    base64url_encode,
    compute_mailto_tag,
    derive_secrets,
    mask_digest,
)
from preference_center.core.links.sealer import INVALID_LINK_MESSAGE, derive_key

_KEY_ID_PATTERN = re.compile(r"[1-9][0-9]{0,4}")
_MASKED_DIGEST_OFFSET = MAILTO_HEADER.size + TAG_BYTES
_MAILTO_TOKEN_BYTES = _MASKED_DIGEST_OFFSET + 32  # length of a mailto token


@dataclass(frozen=True, slots=True)
class SenderKey:
    """One sender's link key, without its secret."""

    id: int
    """1 to 65,535; part of every token."""
    name: str
    ring_key: str
    """Id of the key of the ring that its secret is derived from."""
    topics: tuple[str, ...]
    """The scopes of its links, by index: topic keys and ALL_MARKETING, at most 256."""
    created_at: datetime
    revoked_at: datetime | None = None

    @property
    def key_id(self) -> str:
        """The key's id in tokens and evidence."""
        return f"{SENDER_TOKEN_PREFIX}{self.id}"


class LinkRegistry(Protocol):
    """What a token does not contain, and has to be looked up."""

    def find_sender(self, key_id: int) -> SenderKey | None:
        """The link key of this id, revoked or not."""

    def permanent_links_since(self, destination: int) -> datetime | None:
        """From when on permanent links of a destination are valid; None if they never began."""

    def exact_digest(self, sha256: bytes) -> bytes:
        """The exact digest of an address, from the SHA-256 of its canonical form."""


class EmptyLinkRegistry:
    """For a process that has the ring only: no sender has a key, nothing is revoked."""

    def find_sender(self, key_id: int) -> SenderKey | None:  # noqa: ARG002 - the protocol's
        """None."""
        return None

    def permanent_links_since(self, destination: int) -> datetime | None:  # noqa: ARG002
        """None."""
        return None

    def exact_digest(self, sha256: bytes) -> bytes:
        """Not supported: raises NotImplementedError."""
        raise NotImplementedError


class LinkTopic(NamedTuple):
    """One topic of a key, and the base URL of its links: `https://host`."""

    key: str
    channel: Channel
    base_url: str


class SenderTokenCodec:
    """Exports senders' keys, and reads their tokens, with our ring."""

    __slots__ = ("_registry", "_ring", "_secrets")

    def __init__(self, ring: Sequence[tuple[str, bytes]], registry: LinkRegistry) -> None:
        self._ring: Mapping[str, bytes] = dict(ring)
        self._registry = registry
        self._secrets: dict[tuple[str, int], DerivedSecrets] = {}

    def export_key(
        self, key: SenderKey, topics: Sequence[LinkTopic], mail_domain: str | None
    ) -> str:
        """The text of the key, for its sender only."""
        about = json.dumps({"mail": mail_domain, "topics": topics}, separators=(",", ":"))
        secret = base64url_encode(self._derive_secret(key))
        return ".".join((KEY_TEXT_PREFIX, str(key.id), secret, base64url_encode(about.encode())))

    def decode(self, token: str) -> Link:
        """The link of a sender's token. Raises InvalidLink, with one message for all errors."""
        head, _, text = token.partition(".")
        key, secrets = self._find_key(head.removeprefix(SENDER_TOKEN_PREFIX))
        try:
            payload = secrets.link_cipher.decrypt(base64url_decode(text), None)
            return _unpack(payload, key)
        except (InvalidTag, InvalidAddress, ValueError, IndexError, struct.error, OverflowError):
            raise InvalidLink(INVALID_LINK_MESSAGE) from None

    def decode_mailto(self, text: str) -> MailtoTokenData:
        """The content of a sender's mailto token, in any case. Raises InvalidLink."""
        try:
            raw = b32decode(text.encode("ascii").upper())
            number, index = MAILTO_HEADER.unpack_from(raw)
        except (ValueError, struct.error):
            raise InvalidLink(INVALID_LINK_MESSAGE) from None
        if len(raw) != _MAILTO_TOKEN_BYTES:
            raise InvalidLink(INVALID_LINK_MESSAGE)
        key, secrets = self._find_key(str(number))
        head, tag = raw[: MAILTO_HEADER.size], raw[MAILTO_HEADER.size : _MASKED_DIGEST_OFFSET]
        digest = mask_digest(secrets, head + tag, raw[_MASKED_DIGEST_OFFSET:])
        genuine = hmac.compare_digest(compute_mailto_tag(secrets, head, digest), tag)
        if not genuine or index >= len(key.topics):
            raise InvalidLink(INVALID_LINK_MESSAGE)
        prefix = self._registry.exact_digest(digest)[:DIGEST_PREFIX_BYTES]
        return MailtoTokenData(prefix, hash_scope(key.topics[index]), None, key.key_id)

    def _find_key(self, key_id: str) -> tuple[SenderKey, DerivedSecrets]:
        """A sender's key by its id in canonical form. Raises InvalidLink."""
        if not _KEY_ID_PATTERN.fullmatch(key_id) or int(key_id) > MAX_KEY_ID:
            raise InvalidLink(INVALID_LINK_MESSAGE)
        key = self._registry.find_sender(int(key_id))
        if key is None or key.ring_key not in self._ring:
            raise InvalidLink(INVALID_LINK_MESSAGE)
        return key, self._secrets_of(key)

    def _secrets_of(self, key: SenderKey) -> DerivedSecrets:
        """Derived once per key; the cache grows only with the keys that were issued."""
        secrets = self._secrets.get((key.ring_key, key.id))
        if secrets is None:
            secrets = derive_secrets(self._derive_secret(key))
            self._secrets[key.ring_key, key.id] = secrets
        return secrets

    def _derive_secret(self, key: SenderKey) -> bytes:
        return derive_key(self._ring[key.ring_key], f"sender {key.id}", SECRET_BYTES)


def _unpack(payload: bytes, key: SenderKey) -> Link:
    """Decode a payload. Raises IndexError for a topic that the key was not issued for."""
    flags, index, seconds, size = LINK_HEADER.unpack_from(payload)
    address = payload[LINK_HEADER.size : LINK_HEADER.size + size].decode()
    message = payload[LINK_HEADER.size + size :]
    message_id = str(UUID(bytes=message)) if flags & UUID_FLAG else message.decode()
    if not message_id.isprintable():
        raise ValueError("an unprintable message id, which our file does not make")
    if flags & ~(CHANNEL_MASK | UUID_FLAG):
        raise ValueError("made by a newer version of the file")
    channel = Channel(CHANNELS[flags & CHANNEL_MASK])
    return Link(
        address=parse_address(address, channel),
        scope=key.topics[index],
        message_id=message_id,
        issued_at=datetime.fromtimestamp(seconds, UTC),
        key_id=key.key_id,
        revoked=key.revoked_at is not None,
    )
