"""Tokens carry the content of links, so that holders can neither read nor alter it.

A token is `key id . sealed payload . signature`: AES-SIV (RFC 5297) encrypts the payload,
itsdangerous signs. SIV needs no nonce, so a key may seal any number of links; GCM with random
nonces is limited to 2^32 (NIST SP 800-38D 8.3).

Length: key id, 24 characters for dots and signature, and 4/3 of 23 + address + topic +
message id in bytes, where a UUID takes 16 and "all marketing" none. So a key id of 4, an
address of 40, a topic key of 50 and a UUID stay within 200 characters.

A mailto token is the local part of an address for opt-outs (RULES A10, A11).

A code of a short link is random, and the only key to what is stored for it. A link in a text
message has to be short, so its token is stored, under a code of 12 characters (70 bits). The row
is found by one value derived from the code and encrypted with another, so nobody without the code
can read it, the service included: the token stays where it would have been without short links,
in the message (docs/decisions/0026).

A sender's link key makes tokens offline, which `SenderTokenCodec` reads. The secret of the key is
derived from one key of our ring and the sender's id, so nothing secret is stored, and nobody can
derive another sender's key or ours from one. The key makes message links only: the format of its
tokens has no field for another purpose.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import struct
from base64 import b32decode, b32encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum
from hashlib import sha256
from struct import Struct
from typing import NamedTuple, Protocol, assert_never
from urllib.parse import unquote
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from itsdangerous import BadSignature, Signer
from itsdangerous.signer import HMACAlgorithm

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.channels import AddressSyntax
from preference_center.core.errors import (
    ConfigError,
    InvalidAddress,
    InvalidInput,
    InvalidLink,
    OtherLinkSignature,
    ReplacedLinkKey,
)
from preference_center.core.events import ALL_MARKETING
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

MAX_MESSAGE_ID = 64  # characters


_PURPOSE_SHIFT = 5


_HEADER = struct.Struct(">BIBB")  # flags, seconds, lengths of address and topic in bytes


_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class TokenPurpose(IntEnum):
    """The purpose of a token, by its number in tokens: only append, up to 7.

    Those of LIFETIMES prove for a limited time that the holder controls the address: we
    emailed the token there, or the company's log-in has authenticated the person.
    """

    MESSAGE = 0
    """In a message. Opts out for ever, and proves no control: messages get forwarded."""
    PAGE_VISIT = 1
    """One visit of the preference page and of the pages of rights."""
    EMAILED_LINK = 2
    """Requested with the form and emailed; opens the page once."""
    PORTAL = 3
    """Made for a customer who is signed in at the company."""
    PERMANENT = 4
    """In a column of a connected tool. Like MESSAGE, but of no message; revocable."""
    PROBE = 5
    """Names nobody: what `flask check-domain` posts."""
    RIGHTS = 6
    """Requested on `/rights` and emailed; opens the page of one right once."""


LIFETIMES: Mapping[TokenPurpose, timedelta] = {
    TokenPurpose.PAGE_VISIT: timedelta(minutes=30),
    TokenPurpose.EMAILED_LINK: timedelta(hours=24),
    TokenPurpose.PORTAL: timedelta(minutes=5),
    TokenPurpose.RIGHTS: timedelta(hours=24),
}
"""How long each proves control of the address. A message link does not expire."""


@dataclass(frozen=True, slots=True)
class Link:
    """The content of a token. `issued_at` has seconds; reading a token sets `key_id`."""

    address: Address
    scope: str
    """A topic key or ALL_MARKETING."""
    message_id: str
    """The sender's own: a UUID or up to 64 printable characters; may be empty.

    A one-time token has its own id here."""
    issued_at: datetime
    key_id: str = ""
    proves_control: bool = False
    """Whether it is a one-time token or visit that has not expired. Set by reading only."""
    expired: bool = False
    """Whether it is a page visit that has expired: it can opt out only."""
    revoked: bool = False
    """Whether it was revoked, since it may have leaked: it can opt out only."""
    destination_id: int | None = None
    """The destination whose column contains it. `issued_at` is then when its links began."""


def pack_link(link: Link, purpose: TokenPurpose = TokenPurpose.MESSAGE) -> bytes:
    """Encode a link. Raises InvalidInput for a message id that can't be carried."""
    flags = CHANNELS.index(link.address.channel) | purpose << _PURPOSE_SHIFT
    message = _uuid_bytes(link.message_id)
    if link.destination_id is not None:
        message = link.destination_id.to_bytes(4, "big")
    elif message is not None:
        flags |= UUID_FLAG
    elif len(link.message_id) <= MAX_MESSAGE_ID and link.message_id.isprintable():
        message = link.message_id.encode()
    else:
        raise InvalidInput(f"a message id has up to {MAX_MESSAGE_ID} printable characters")
    address = link.address.exact.encode()
    topic = b"" if link.scope == ALL_MARKETING else link.scope.encode()
    head = _HEADER.pack(flags, int(link.issued_at.timestamp()), len(address), len(topic))
    return head + address + topic + message


def unpack_link(payload: bytes, key_id: str) -> tuple[Link, TokenPurpose]:
    """Decode what `pack_link` made: link and purpose. Raises ValueError for a newer version."""
    flags, seconds, address_size, topic_size = _HEADER.unpack_from(payload)
    topic_at = _HEADER.size + address_size
    message_at = topic_at + topic_size
    message, purpose = payload[message_at:], TokenPurpose(flags >> _PURPOSE_SHIFT)
    destination = None
    if purpose is TokenPurpose.PERMANENT:
        destination, message = int.from_bytes(message, "big"), b""
    link = Link(
        address=restore_address(
            payload[_HEADER.size : topic_at].decode(), Channel(CHANNELS[flags & CHANNEL_MASK])
        ),
        scope=payload[topic_at:message_at].decode() or ALL_MARKETING,
        message_id=str(UUID(bytes=message)) if flags & UUID_FLAG else message.decode(),
        issued_at=datetime.fromtimestamp(seconds, UTC),
        key_id=key_id,
        destination_id=destination,
    )
    return link, purpose


def restore_address(exact: str, channel: Channel) -> Address:
    """The address of a stored canonical form, even if today's rules would not accept it."""
    match channel.rules.syntax:
        case AddressSyntax.EMAIL:
            try:
                return parse_address(exact, channel)
            except InvalidAddress:
                return Address(channel, exact, exact, None)
        case AddressSyntax.PHONE_NUMBER:
            return Address(channel, exact, exact, None)
        case _:
            assert_never(channel.rules.syntax)


def _uuid_bytes(text: str) -> bytes | None:
    """The bytes of a UUID in the format of `str`, so that it decodes to the same text."""
    return UUID(text).bytes if _UUID.fullmatch(text) else None


INVALID_LINK_MESSAGE = "this link is not one of ours, or was altered"
"""One message for all errors, so that a forger learns nothing from it."""


_KEY_BYTES = 32


class _ShortHMAC(HMACAlgorithm):
    """HMAC-SHA-256 cut to 128 bits (RFC 2104 5); the AEAD's tag adds as many again."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return super().get_signature(key, value)[:16]


class _StrictSigner(Signer):
    """Compares encoded signatures: decoding first would accept several encodings."""

    def verify_signature(self, value: str | bytes, sig: str | bytes) -> bool:
        given = sig.encode() if isinstance(sig, str) else sig
        return hmac.compare_digest(self.get_signature(value), given)


_ANY_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,32}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{22}")
"""What `Sealer` makes, with any key."""


class Sealer:
    """Encrypts and signs bytes for one purpose, with a ring of keys."""

    __slots__ = ("_keys", "_newest")

    def __init__(self, ring: Sequence[tuple[str, bytes]], purpose: str) -> None:
        self._newest = ring[0][0]
        self._keys = {
            key_id: (
                AESSIV(derive_key(key, f"{purpose} encryption", 64)),
                _StrictSigner(
                    derive_key(key, f"{purpose} signature"),
                    key_derivation="none",  # HKDF has done it
                    algorithm=_ShortHMAC(sha256),
                ),
            )
            for key_id, key in ring
        }

    def seal(self, payload: bytes) -> str:
        """The token, sealed with the newest key."""
        siv, signer = self._keys[self._newest]
        sealed = urlsafe_b64encode(siv.encrypt(payload, None)).rstrip(b"=")
        return signer.sign(self._newest.encode() + b"." + sealed).decode()

    def open(self, token: str) -> tuple[str, bytes]:
        """The id of the key and the payload. Raises InvalidLink.

        ReplacedLinkKey if it is complete, but made with a key that the ring does not have;
        OtherLinkSignature if it has the id of one that did not sign it.
        """
        key_id = token.partition(".")[0]
        keys = self._keys.get(key_id)
        is_complete = _ANY_TOKEN.fullmatch(token)
        if keys is None:
            raise (ReplacedLinkKey if is_complete else InvalidLink)(INVALID_LINK_MESSAGE)
        siv, signer = keys
        try:
            # Only what we signed passes `unsign`, so lenient base64 is harmless after it.
            sealed = signer.unsign(token.encode("ascii"))[len(key_id) + 1 :]
            payload = siv.decrypt(urlsafe_b64decode(sealed + b"=" * (-len(sealed) % 4)), None)
        except (BadSignature, InvalidTag, ValueError):
            error = OtherLinkSignature if is_complete else InvalidLink
            raise error(INVALID_LINK_MESSAGE) from None
        return key_id, payload


def derive_key(key: bytes, purpose: str, size: int = 32) -> bytes:
    """A key of `size` bytes for one purpose, derived from one of the ring (RFC 5869)."""
    info = f"preference_center.links {purpose}".encode()
    return HKDF(SHA256(), length=size, salt=None, info=info).derive(key)


def validate_ring(ring: Sequence[tuple[str, bytes]]) -> Sequence[tuple[str, bytes]]:
    """The ring itself. Raises ConfigError for an invalid one."""
    if not ring or len(dict(ring)) != len(ring):
        raise ConfigError("LINK_KEYS needs at least one key, each with an id of its own")
    for key_id, key in ring:
        if len(key) != _KEY_BYTES or not key_id.replace("-", "").replace("_", "").isalnum():
            raise ConfigError("LINK_KEYS: an id has letters, digits, - and _; a key 32 bytes")
    return ring


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


CODE_LENGTH = 12


_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
"""Letters and digits without those that are read as others: 58, all of the GSM alphabet."""


_CODE = re.compile(rf"[{_ALPHABET}]{{{CODE_LENGTH}}}(?![A-Za-z0-9])")


_LOOKUP_BYTES = 16


def new_code() -> str:
    """A new code, not to be guessed."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(CODE_LENGTH))


def find_code(text: str) -> str:
    """The code in a part of a path, to which a program may have added. Raises InvalidLink."""
    found = _CODE.match(unquote(text).strip())
    if found is None:
        raise InvalidLink(INVALID_LINK_MESSAGE)
    return found[0]


def lookup_value(code: str) -> bytes:
    """What the row of a code is found by; the code can't be computed from it."""
    return derive_key(code.encode(), "short link lookup", _LOOKUP_BYTES)


def seal_content(code: str, content: str) -> bytes:
    """Encrypt what a code stands for, so that only the code opens it."""
    return _cipher(code).encrypt(content.encode(), None)


def open_content(code: str, sealed: bytes) -> str:
    """What `seal_content` encrypted. Raises InvalidLink if the row was altered."""
    try:
        return _cipher(code).decrypt(sealed, None).decode()
    except InvalidTag:
        raise InvalidLink(INVALID_LINK_MESSAGE) from None


def _cipher(code: str) -> AESSIV:
    return AESSIV(derive_key(code.encode(), "short link content", 64))


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

    __slots__ = ("_opt_out_only", "_registry", "_ring", "_secrets")

    def __init__(
        self,
        ring: Sequence[tuple[str, bytes]],
        registry: LinkRegistry,
        opt_out_only: Collection[str] = (),
    ) -> None:
        self._opt_out_only = opt_out_only
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
            link = _unpack(payload, key)
        except (InvalidTag, InvalidAddress, ValueError, IndexError, struct.error, OverflowError):
            raise InvalidLink(INVALID_LINK_MESSAGE) from None
        # Who has the key of our ring can derive those of senders from it.
        return replace(link, revoked=link.revoked or key.ring_key in self._opt_out_only)

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
        """A sender's key by its id in canonical form. Raises InvalidLink, ReplacedLinkKey."""
        if not _KEY_ID_PATTERN.fullmatch(key_id) or int(key_id) > MAX_KEY_ID:
            raise InvalidLink(INVALID_LINK_MESSAGE)
        key = self._registry.find_sender(int(key_id))
        if key is None or key.ring_key not in self._ring:
            raise ReplacedLinkKey(INVALID_LINK_MESSAGE)
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
