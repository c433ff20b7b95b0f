"""Signed links, made by the sender itself: no request, no network, no database.

This file is all that a sender needs: copy it next to your code, for example as
`preference_center_links.py`. It runs on Python 3.9 or newer with `cryptography` 40 or
newer and imports nothing else. `flask keys link-key NAME` prints the key.

    minter = LinkMinter(os.environ["LINK_KEY"])
    links = minter.mint("ada@example.com", "acme.offers", message_id)
    mail.headers |= links.headers       # both, unfolded, and signed by DKIM (RFC 8058 4)
    body = render(unsubscribe=links.unsubscribe_url, preferences=links.preferences_url)

The key makes links for its own topics only. Its holder can opt out any address, and once it
is revoked can see and change nothing else: keep it like a password.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import struct
import time
from collections.abc import Callable
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SENDER_TOKEN_PREFIX = "~"  # noqa: S105 - no secret
"""Prefix of the token of a sender's key; ids of the service's own keys can't have it."""

KEY_TEXT_PREFIX = "pcl1"
"""Prefix of the text of a key."""

SECRET_BYTES = 32

ALL_MARKETING = "all_marketing"
EMAIL, SMS, PHONE = "email", "sms", "phone"
CHANNELS = (EMAIL, SMS, PHONE)  # by number in tokens: only append

LINK_HEADER = struct.Struct(">BBIB")
"""Flags (channel, UUID_FLAG), index of the topic in the key, seconds, length of the address."""
CHANNEL_MASK = 0x0F
UUID_FLAG = 0x10

MAILTO_HEADER = struct.Struct(">HB")
"""Id of the key and index of the topic; begins a mailto token."""
TAG_BYTES = 5
MAX_KEY_ID = 2**16 - 1
MAX_TOPICS = 2**8

MAX_MESSAGE_ID = 64  # characters
_MAX_ADDRESS_BYTES = 254  # RFC 5321 4.5.3.1.3 less its angle brackets
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_FORBIDDEN_CHARACTERS = re.compile(r"[\x00-\x20\x7f<>\"(),:;\\]")

# Addresses whose canonical form is just their lower case. For others only the service can
# compute it, so those get no mailto entry.
_CANONICAL_EMAIL = re.compile(
    r"[a-z0-9_!#$%&'*/=?^`{|}~+-]+(?:\.[a-z0-9_!#$%&'*/=?^`{|}~+-]+)*"
    r"@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+"
    r"(?!(?:arpa|invalid|local|localhost|onion)\Z)[a-z]{2,}"
)
_MAX_LABEL_LENGTH = 63  # in a domain this short no label is too long (RFC 1035 2.3.4)


class DerivedSecrets(NamedTuple):
    """The keys derived from the secret of a sender's key (RFC 5869)."""

    link_cipher: AESSIV
    mailto_tag_key: bytes
    mailto_mask_key: bytes

    def __repr__(self) -> str:
        """Nothing: a key in a log is a leaked key."""
        return "<DerivedSecrets>"


class MintedLinks(NamedTuple):
    """The links of one message to one address."""

    unsubscribe_url: str
    """The page with one button; mail clients POST to it (RFC 8058)."""
    preferences_url: str
    headers: dict[str, str]
    """Both headers. Set them as they are: unfolded, not encoded."""


class _KeyTopic(NamedTuple):
    number: int
    channel: str
    base_url: str


class LinkMinter:
    """Makes links with the key of one sender. Safe to share among threads.

    Raises ValueError for an invalid key; the message never contains it. `clock` returns the
    time in seconds since 1970, which each link contains.
    """

    def __init__(self, key: str, clock: Callable[[], float] = time.time) -> None:
        self._id, secret, about = _parse_key(key)
        self._secrets = derive_secrets(secret)
        self._mail_domain: str | None = about.get("mail")
        self._topics: dict[str, _KeyTopic] = {
            name: _KeyTopic(index, channel, base)
            for index, (name, channel, base) in enumerate(about["topics"])
        }
        self._clock = clock

    def __repr__(self) -> str:
        """The id only: a key in a log is a leaked key."""
        return f"<LinkMinter of key {SENDER_TOKEN_PREFIX}{self._id}>"

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that this key makes links for."""
        return tuple(self._topics)

    def mint(self, address: str, topic: str, message_id: str = "") -> MintedLinks:
        """The links of one message.

        `address` is a bare email address, or a phone number in international form for a
        topic by text message or phone. `message_id` is your own: up to 64 printable
        characters, no personal data; a UUID keeps links short. Without it the link is of no
        message, and shows the person's choices without age limit. Raises ValueError for what
        the key does not cover or a link can't carry; the message never contains the address.
        """
        index, channel, base = self._find_topic(topic)
        text, canonical = _canonicalize(address, channel)
        encoded = text.encode()
        token = self._seal(index, channel, encoded, message_id)
        url = f"{base}/u/{token}"
        value = f"<{url}>"
        if canonical and self._mail_domain:
            mailbox = create_mailto_token(self._secrets, self._id, index, encoded)
            # HTTPS first: some clients stop at the first entry.
            value = f"{value}, <mailto:{mailbox}@{self._mail_domain}?subject=unsubscribe>"
        return MintedLinks(
            url,
            f"{base}/p/{token}",
            {
                "List-Unsubscribe": value,
                "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            },
        )

    def headers(self, address: str, topic: str, message_id: str = "") -> dict[str, str]:
        """`mint(...).headers`."""
        return self.mint(address, topic, message_id).headers

    def unsubscribe_url(self, address: str, topic: str, message_id: str = "") -> str:
        """`mint(...).unsubscribe_url`."""
        return self.mint(address, topic, message_id).unsubscribe_url

    def preferences_url(self, address: str, topic: str, message_id: str = "") -> str:
        """`mint(...).preferences_url`."""
        return self.mint(address, topic, message_id).preferences_url

    def _find_topic(self, topic: str) -> _KeyTopic:
        try:
            return self._topics[topic]
        except KeyError:
            known = ", ".join(self._topics)
            raise ValueError(f"this key makes no links for that topic, but for: {known}") from None

    def _seal(self, topic_index: int, channel: str, address: bytes, message_id: str) -> str:
        flags = CHANNELS.index(channel)
        if _UUID.fullmatch(message_id):
            message = bytes.fromhex(message_id.replace("-", ""))
            flags |= UUID_FLAG
        elif len(message_id) <= MAX_MESSAGE_ID and message_id.isprintable():
            message = message_id.encode()
        else:
            raise ValueError(f"a message id has up to {MAX_MESSAGE_ID} printable characters")
        head = LINK_HEADER.pack(flags, topic_index, int(self._clock()), len(address))
        sealed = self._secrets.link_cipher.encrypt(head + address + message, None)
        return f"{SENDER_TOKEN_PREFIX}{self._id}.{base64url_encode(sealed)}"


def derive_secrets(secret: bytes) -> DerivedSecrets:
    """The keys that seal tokens. `secret` has 32 bytes."""
    siv = _derive_key(secret, "link", 64)
    mail = _derive_key(secret, "mail", 64)
    return DerivedSecrets(AESSIV(siv), mail[:32], mail[32:])


def create_mailto_token(
    secrets: DerivedSecrets, key_id: int, topic_index: int, address: bytes
) -> str:
    """64 case-insensitive characters for a local part.

    The SHA-256 of the address, encrypted as in SIV (RFC 5297): its tag is the nonce. The tag
    has 40 bits, since a local part is too short for more (RFC 5321 4.5.3.1.1).
    """
    head = MAILTO_HEADER.pack(key_id, topic_index)
    digest = hashlib.sha256(address).digest()
    tag = compute_mailto_tag(secrets, head, digest)
    masked = mask_digest(secrets, head + tag, digest)
    return base64.b32encode(head + tag + masked).decode().lower()


def compute_mailto_tag(secrets: DerivedSecrets, header: bytes, digest: bytes) -> bytes:
    """The tag that authenticates a mailto token, and the nonce that masks its digest."""
    return hmac.digest(secrets.mailto_tag_key, header + digest, "sha256")[:TAG_BYTES]


def mask_digest(secrets: DerivedSecrets, header: bytes, digest: bytes) -> bytes:
    """The digest masked, or unmasked. `header` ends with the tag."""
    mask = hmac.digest(secrets.mailto_mask_key, header, "sha256")
    hidden = int.from_bytes(digest, "big") ^ int.from_bytes(mask, "big")
    return hidden.to_bytes(len(mask), "big")


def base64url_encode(data: bytes) -> str:
    """Base64url without padding (RFC 4648 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def base64url_decode(text: str) -> bytes:
    """The inverse of `base64url_encode`. Raises ValueError for any other encoding."""
    data = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    if base64url_encode(data) != text:
        raise ValueError("not the canonical encoding")
    return data


def _parse_key(key: str) -> tuple[int, bytes, dict]:  # type: ignore[type-arg]  # Python 3.9
    try:
        prefix, number, secret, about = key.strip().split(".")
        parsed = int(number), base64url_decode(secret), json.loads(base64url_decode(about))
    except (ValueError, binascii.Error):
        prefix, parsed = "", (0, b"", {})
    if prefix != KEY_TEXT_PREFIX or len(parsed[1]) != SECRET_BYTES:
        raise ValueError(f"not a link key: `flask keys link-key` prints one, {KEY_TEXT_PREFIX}...")
    return parsed


def _derive_key(secret: bytes, purpose: str, length: int) -> bytes:
    info = f"preference_center.links of a sender: {purpose}".encode()
    return HKDF(SHA256(), length=length, salt=None, info=info).derive(secret)


def _canonicalize(address: str, channel: str) -> tuple[str, bool]:
    """The address as it is in the token, and whether that is its canonical form."""
    text = address.strip()
    if channel != EMAIL:
        if not _E164.fullmatch(text):
            raise ValueError("write the phone number in international form, like +39 and digits")
        return text, False
    lower = text.lower()
    if lower.isascii() and len(lower) <= _MAX_ADDRESS_BYTES and _CANONICAL_EMAIL.fullmatch(lower):
        return lower, len(lower) - lower.index("@") - 1 <= _MAX_LABEL_LENGTH
    local, _, domain = text.rpartition("@")
    if (
        not local
        or not domain
        or _FORBIDDEN_CHARACTERS.search(text)
        or len(text.encode()) > _MAX_ADDRESS_BYTES
    ):
        raise ValueError("give one bare email address, like name@example.com")
    return text, False
