"""Signed links, the forms behind them, and the List-Unsubscribe headers.

A token is `key id . sealed payload . signature`: AES-SIV (RFC 5297) hides who and what,
itsdangerous signs. SIV takes no nonce, so a key may seal as many links as will ever be
sent; GCM with random nonces must stop at 2^32 (NIST SP 800-38D 8.3). Links never expire:
an opt-out must work for as long as the mail can be found (RULES: 16 CFR 316.5, CASL).

Length: key id, 24 characters for dots and signature, and 4/3 of 23 + address + topic +
message id in octets, where a UUID takes 16 and "all marketing" none. So a key id of 4, an
address of 40, a topic key of 50 and a UUID stay within 200 characters.
"""

from __future__ import annotations

import hmac
import json
import re
import struct
from base64 import b32decode, b32encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from itsdangerous import BadSignature, Signer
from itsdangerous.signer import HMACAlgorithm

from preference_center.domain.addresses import Address, Channel, parse
from preference_center.domain.events import ALL_MARKETING
from preference_center.errors import ConfigError, InvalidAddress, InvalidInput, InvalidLink

ONE_CLICK = "List-Unsubscribe=One-Click"
"""The only value of List-Unsubscribe-Post, and the body that clients send (RFC 8058 3.1)."""

MAX_MESSAGE_ID = 64  # characters

PREFIX_OCTETS = 16
"""How much of an exact digest a mail token holds: too much for two addresses to share."""

_KEY_SIZE = 32
_CHANNELS = (Channel.EMAIL, Channel.SMS, Channel.PHONE)  # by number in tokens: only append
_UUID_ID = 0x10
_HEAD = struct.Struct(">BIBB")  # channel and flags, seconds, octets of address and of topic
_MAIL = struct.Struct(">6sH16s")  # scope, day, address
_MAIL_EPOCH = date(2020, 1, 1)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FAULT = "this link is not one of ours, or was altered"


@dataclass(frozen=True, slots=True)
class Link:
    """What a token says. `issued_at` is kept to the second; `key_id` is set by `read`."""

    address: Address
    scope: str
    """A topic key or ALL_MARKETING."""
    message_id: str
    """The sender's own: a UUID or up to 64 printable characters; may be empty."""
    issued_at: datetime
    key_id: str = ""


@dataclass(frozen=True, slots=True)
class MailReference:
    """What the local part of a mailto opt-out says.

    64 octets can't hold an address, so the first PREFIX_OCTETS of its exact digest name it.
    """

    digest_prefix: bytes
    scope_mark: bytes
    issued_on: date
    key_id: str

    def scope_among(self, known: Iterable[str]) -> str | None:
        """The scope meant, out of the catalogue's topic keys and ALL_MARKETING."""
        return next((scope for scope in known if _scope_mark(scope) == self.scope_mark), None)


@dataclass(frozen=True, slots=True)
class Links:
    """Makes and reads everything that is signed for people.

    `ring` holds (id, 32-octet key) pairs: the first signs, all are read, so that old links
    outlive a rotation. Raises ConfigError for a ring or a public URL that can't be used:
    plain HTTP is for a developer's own machine only, since clients refuse it (RULES A1).
    """

    ring: Sequence[tuple[str, bytes]] = field(repr=False)
    public_url: str
    mail_domain: str | None = None
    _tokens: _Sealer = field(init=False, repr=False, compare=False)
    _forms: _Sealer = field(init=False, repr=False, compare=False)
    _mail_keys: Mapping[str, bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        url = urlsplit(self.public_url)
        if url.scheme != "https" and url.hostname not in {"localhost", "127.0.0.1", "::1"}:
            raise ConfigError("PUBLIC_URL must begin with https://")
        mail_keys = {id_: _derive(key, "mail") for id_, key in _checked(self.ring)}
        object.__setattr__(self, "public_url", self.public_url.rstrip("/"))
        object.__setattr__(self, "_tokens", _Sealer(self.ring, "link"))
        object.__setattr__(self, "_forms", _Sealer(self.ring, "form"))
        object.__setattr__(self, "_mail_keys", mail_keys)

    def make(self, link: Link) -> str:
        """The token of a link. Raises InvalidInput for a message id that can't be carried."""
        return self._tokens.seal(_pack(link))

    def read(self, token: str) -> Link:
        """What a token says. Raises InvalidLink, with one message for every fault."""
        key_id, payload = self._tokens.open(token)
        return _unpack(payload, key_id)

    def unsubscribe_url(self, token: str) -> str:
        """Where a person, or their mail client, says no."""
        return f"{self.public_url}/u/{token}"

    def preferences_url(self, token: str) -> str:
        """Where a person chooses."""
        return f"{self.public_url}/p/{token}"

    def sign_form(self, data: Mapping[str, Any], now: datetime) -> str:
        """Seal what a form must bring back unaltered; `data` is JSON, the time is kept."""
        text = json.dumps([now.timestamp(), data], separators=(",", ":"))
        return self._forms.seal(text.encode())

    def read_form(
        self, text: str, max_age: timedelta | None, now: datetime
    ) -> tuple[datetime, dict[str, Any]]:
        """When the form was signed, and its data.

        Raises InvalidLink when altered or older than `max_age` (None: any age). A time
        ahead of `now` is another host's clock, and counts as now.
        """
        _, payload = self._forms.open(text)
        seconds, data = json.loads(payload)
        signed_at = min(datetime.fromtimestamp(seconds, UTC), now)
        if max_age is not None and now - signed_at > max_age:
            raise InvalidLink(_FAULT)
        return signed_at, data

    def mail_token(self, link: Link, digest: bytes) -> str:
        """The local part of the mailto opt-out: 64 characters, case-insensitive.

        `digest` is the exact digest of the link's address. The message id has no room.
        """
        key = next(iter(self._mail_keys.values()))
        day = (link.issued_at.astimezone(UTC).date() - _MAIL_EPOCH).days
        body = _MAIL.pack(_scope_mark(link.scope), day, digest[:PREFIX_OCTETS])
        return b32encode(body + _mail_mac(key, body)).decode().lower()

    def read_mail_token(self, text: str) -> MailReference:
        """What a mail token says, in whatever case it came (RULES A11). Raises InvalidLink."""
        try:
            raw = b32decode(text.encode("ascii").upper())
        except ValueError:
            raise InvalidLink(_FAULT) from None
        body, mac = raw[: _MAIL.size], raw[_MAIL.size :]
        for key_id, key in self._mail_keys.items():
            if hmac.compare_digest(_mail_mac(key, body), mac):
                mark, day, prefix = _MAIL.unpack(body)
                return MailReference(prefix, mark, _MAIL_EPOCH + timedelta(days=day), key_id)
        raise InvalidLink(_FAULT)


def list_unsubscribe_headers(
    links: Links, link: Link, digest: bytes | None = None
) -> dict[str, str]:
    """The header pair of RFC 8058 for one message; both must be DKIM-signed (RULES A2).

    The HTTPS URI comes first, since some clients stop at the first entry (RULES A10). The
    mailto entry needs a domain whose mail we receive and the address's exact `digest`.
    Set the values unfolded: they have no white space to fold at but after the comma.
    """
    entries = [f"<{links.unsubscribe_url(links.make(link))}>"]
    if links.mail_domain is not None and digest is not None:
        mailbox = f"{links.mail_token(link, digest)}@{links.mail_domain}"
        entries.append(f"<mailto:{mailbox}?subject=unsubscribe>")
    return {"List-Unsubscribe": ", ".join(entries), "List-Unsubscribe-Post": ONE_CLICK}


class _ShortHMAC(HMACAlgorithm):
    """HMAC-SHA-256 cut to 128 bits (RFC 2104 5); the AEAD's tag adds as many again."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return super().get_signature(key, value)[:16]


class _StrictSigner(Signer):
    """Compares signatures as written: decoding first lets several spellings pass."""

    def verify_signature(self, value: str | bytes, sig: str | bytes) -> bool:
        given = sig.encode() if isinstance(sig, str) else sig
        return hmac.compare_digest(self.get_signature(value), given)


class _Sealer:
    """Encrypts and signs octets for one purpose, with a ring of keys."""

    __slots__ = ("_keys", "_newest")

    def __init__(self, ring: Sequence[tuple[str, bytes]], purpose: str) -> None:
        self._newest = ring[0][0]
        self._keys = {
            key_id: (
                AESSIV(_derive(key, f"{purpose} encryption", 64)),
                _StrictSigner(
                    _derive(key, f"{purpose} signature"),
                    key_derivation="none",  # HKDF has done it
                    algorithm=_ShortHMAC(sha256),
                ),
            )
            for key_id, key in ring
        }

    def seal(self, payload: bytes) -> str:
        siv, signer = self._keys[self._newest]
        sealed = urlsafe_b64encode(siv.encrypt(payload, None)).rstrip(b"=")
        return signer.sign(self._newest.encode() + b"." + sealed).decode()

    def open(self, token: str) -> tuple[str, bytes]:
        """The id of the key and the payload. Raises InvalidLink."""
        key_id = token.partition(".")[0]
        keys = self._keys.get(key_id)
        if keys is None:
            raise InvalidLink(_FAULT)
        siv, signer = keys
        try:
            # Only what we signed gets past `unsign`, so lenient base64 is harmless after it.
            sealed = signer.unsign(token.encode("ascii"))[len(key_id) + 1 :]
            payload = siv.decrypt(urlsafe_b64decode(sealed + b"=" * (-len(sealed) % 4)), None)
        except (BadSignature, InvalidTag, ValueError):
            raise InvalidLink(_FAULT) from None
        return key_id, payload


def _derive(key: bytes, purpose: str, length: int = 32) -> bytes:
    info = f"preference_center.links {purpose}".encode()
    return HKDF(SHA256(), length=length, salt=None, info=info).derive(key)


def _checked(ring: Sequence[tuple[str, bytes]]) -> Sequence[tuple[str, bytes]]:
    if not ring or len(dict(ring)) != len(ring):
        raise ConfigError("LINK_KEYS needs at least one key, each with an id of its own")
    for key_id, key in ring:
        if len(key) != _KEY_SIZE or not key_id.replace("-", "").replace("_", "").isalnum():
            raise ConfigError("LINK_KEYS: an id has letters, digits, - and _; a key 32 octets")
    return ring


def _pack(link: Link) -> bytes:
    flags = _CHANNELS.index(link.address.channel)
    message = _uuid_octets(link.message_id)
    if message is not None:
        flags |= _UUID_ID
    elif len(link.message_id) <= MAX_MESSAGE_ID and link.message_id.isprintable():
        message = link.message_id.encode()
    else:
        raise InvalidInput(f"a message id has up to {MAX_MESSAGE_ID} printable characters")
    address = link.address.exact.encode()
    topic = b"" if link.scope == ALL_MARKETING else link.scope.encode()
    head = _HEAD.pack(flags, int(link.issued_at.timestamp()), len(address), len(topic))
    return head + address + topic + message


def _unpack(payload: bytes, key_id: str) -> Link:
    flags, seconds, address_size, topic_size = _HEAD.unpack_from(payload)
    topic_at = _HEAD.size + address_size
    message_at = topic_at + topic_size
    message = payload[message_at:]
    return Link(
        address=recovered(payload[_HEAD.size : topic_at].decode(), _CHANNELS[flags & 0x0F]),
        scope=payload[topic_at:message_at].decode() or ALL_MARKETING,
        message_id=str(UUID(bytes=message)) if flags & _UUID_ID else message.decode(),
        issued_at=datetime.fromtimestamp(seconds, UTC),
        key_id=key_id,
    )


def recovered(exact: str, channel: Channel) -> Address:
    """The address of a stored canonical form: it outlives the rules it was made under."""
    if channel is Channel.EMAIL:
        try:
            return parse(exact, channel)
        except InvalidAddress:
            pass
    return Address(channel, exact, exact, None)


def _uuid_octets(text: str) -> bytes | None:
    """The octets of a UUID written as `str` does, so that it reads back the same."""
    return UUID(text).bytes if _UUID.fullmatch(text) else None


def _scope_mark(scope: str) -> bytes:
    return sha256(scope.encode()).digest()[:6]


def _mail_mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, "sha256")[:16]
