"""Link keys of senders: what they say, and reading what was made with them offline.

The secret of a sender's key is derived from one key of our ring and the sender's id, so
nothing secret is stored, and whoever has one sender's key has no other's and not ours. It
makes links of a message and nothing else: what a token says has no room for another use.
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

from preference_center.domain.addresses import Channel, parse
from preference_center.errors import InvalidAddress, InvalidLink
from preference_center.links.link_payload import Link
from preference_center.links.mailto_tokens import PREFIX_OCTETS, MailReference, scope_mark
from preference_center.links.offline import (
    CHANNEL_BITS,
    CHANNELS,
    HEAD,
    MAIL_HEAD,
    MARK,
    MAX_ID,
    PREFIX,
    SECRET_OCTETS,
    TAG_OCTETS,
    UUID_ID,
    Secrets,
    decoded,
    derive,
    encoded,
    mail_tag,
    masked_digest,
)
from preference_center.links.sealer import FAULT, derived

_NUMBER = re.compile(r"[1-9][0-9]{0,4}")
_HIDDEN_AT = MAIL_HEAD.size + TAG_OCTETS
_MAIL = _HIDDEN_AT + 32  # octets of a mail token


@dataclass(frozen=True, slots=True)
class SenderKey:
    """One sender's link key, without its secret."""

    id: int
    """1 to 65,535; part of every token."""
    name: str
    ring_key: str
    """Id of the key of the ring that its secret is derived from."""
    topics: tuple[str, ...]
    """What it may make links for, by place: topic keys and ALL_MARKETING, at most 256."""
    created_at: datetime
    revoked_at: datetime | None = None

    @property
    def key_id(self) -> str:
        """The key as tokens and evidence name it."""
        return f"{MARK}{self.id}"


class Registry(Protocol):
    """What can't be read out of a token, and has to be looked up."""

    def sender(self, number: int) -> SenderKey | None:
        """The link key of this id, revoked or not."""

    def standing_since(self, destination: int) -> datetime | None:
        """From when on standing links of a destination count; None if they never began."""

    def digest(self, sha256: bytes) -> bytes:
        """The exact digest of an address, from the SHA-256 of its canonical form."""


class NoRegistry:
    """For a process that knows the ring only: no sender has a key, nothing is revoked."""

    def sender(self, number: int) -> SenderKey | None:  # noqa: ARG002 - the protocol's
        """None: nobody has one."""
        return None

    def standing_since(self, destination: int) -> datetime | None:  # noqa: ARG002
        """None: none was revoked."""
        return None

    def digest(self, sha256: bytes) -> bytes:
        """Nothing is stored, so nothing has a digest."""
        raise NotImplementedError


class LinkTopic(NamedTuple):
    """One topic of a key, and where its links lead: `https://host`."""

    key: str
    channel: Channel
    base: str


class SenderTokens:
    """Issues keys to senders, and reads their tokens, with a ring of our own."""

    __slots__ = ("_registry", "_ring", "_secrets")

    def __init__(self, ring: Sequence[tuple[str, bytes]], registry: Registry) -> None:
        self._ring: Mapping[str, bytes] = dict(ring)
        self._registry = registry
        self._secrets: dict[tuple[str, int], Secrets] = {}

    def text(self, key: SenderKey, topics: Sequence[LinkTopic], mail_domain: str | None) -> str:
        """What the sender gets, and nobody else."""
        about = json.dumps({"mail": mail_domain, "topics": topics}, separators=(",", ":"))
        secret = encoded(self._secret(key))
        return ".".join((PREFIX, str(key.id), secret, encoded(about.encode())))

    def read(self, token: str) -> Link:
        """What a sender's token says. Raises InvalidLink, with one message for every fault."""
        head, _, text = token.partition(".")
        key, secrets = self._known(head.removeprefix(MARK))
        try:
            payload = secrets.siv.decrypt(decoded(text), None)
            return _unpack(payload, key)
        except (InvalidTag, InvalidAddress, ValueError, IndexError, struct.error, OverflowError):
            raise InvalidLink(FAULT) from None

    def read_mail(self, text: str) -> MailReference:
        """What a sender's mail token says, in whatever case it came. Raises InvalidLink."""
        try:
            raw = b32decode(text.encode("ascii").upper())
            number, place = MAIL_HEAD.unpack_from(raw)
        except (ValueError, struct.error):
            raise InvalidLink(FAULT) from None
        if len(raw) != _MAIL:
            raise InvalidLink(FAULT)
        key, secrets = self._known(str(number))
        head, tag = raw[: MAIL_HEAD.size], raw[MAIL_HEAD.size : _HIDDEN_AT]
        digest = masked_digest(secrets, head + tag, raw[_HIDDEN_AT:])
        genuine = hmac.compare_digest(mail_tag(secrets, head, digest), tag)
        if not genuine or place >= len(key.topics):
            raise InvalidLink(FAULT)
        prefix = self._registry.digest(digest)[:PREFIX_OCTETS]
        return MailReference(prefix, scope_mark(key.topics[place]), None, key.key_id)

    def _known(self, number: str) -> tuple[SenderKey, Secrets]:
        """A sender's key by its id, in the one way of writing it. Raises InvalidLink."""
        if not _NUMBER.fullmatch(number) or int(number) > MAX_ID:
            raise InvalidLink(FAULT)
        key = self._registry.sender(int(number))
        if key is None or key.ring_key not in self._ring:
            raise InvalidLink(FAULT)
        return key, self._secrets_of(key)

    def _secrets_of(self, key: SenderKey) -> Secrets:
        """Derived once per key: there are as many as an operator ever issued."""
        found = self._secrets.get((key.ring_key, key.id))
        if found is None:
            found = derive(self._secret(key))
            self._secrets[key.ring_key, key.id] = found
        return found

    def _secret(self, key: SenderKey) -> bytes:
        return derived(self._ring[key.ring_key], f"sender {key.id}", SECRET_OCTETS)


def _unpack(payload: bytes, key: SenderKey) -> Link:
    """What a payload says. Raises IndexError for a topic that the key was not issued for."""
    flags, place, seconds, size = HEAD.unpack_from(payload)
    address = payload[HEAD.size : HEAD.size + size].decode()
    message = payload[HEAD.size + size :]
    message_id = str(UUID(bytes=message)) if flags & UUID_ID else message.decode()
    if not message_id.isprintable():
        raise ValueError("a message id that our file does not make, nor the database hold")
    if flags & ~(CHANNEL_BITS | UUID_ID):
        raise ValueError("of a newer version of the file")
    channel = Channel(CHANNELS[flags & CHANNEL_BITS])
    return Link(
        address=parse(address, channel),
        scope=key.topics[place],
        message_id=message_id,
        issued_at=datetime.fromtimestamp(seconds, UTC),
        key_id=key.key_id,
        revoked=key.revoked_at is not None,
    )
