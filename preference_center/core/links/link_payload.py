"""The content of a token, and its binary encoding.

Length: key id, 24 characters for dots and signature, and 4/3 of 23 + address + topic +
message id in bytes, where a UUID takes 16 and "all marketing" none. So a key id of 4, an
address of 40, a topic key of 50 and a UUID stay within 200 characters.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import assert_never
from uuid import UUID

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import InvalidAddress, InvalidInput
from preference_center.core.events import ALL_MARKETING

MAX_MESSAGE_ID = 64  # characters

_CHANNELS = (Channel.EMAIL, Channel.SMS, Channel.PHONE)  # by number in tokens: only append
_CHANNEL_MASK = 0x0F
_UUID_FLAG = 0x10
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
    flags = _CHANNELS.index(link.address.channel) | purpose << _PURPOSE_SHIFT
    message = _uuid_bytes(link.message_id)
    if link.destination_id is not None:
        message = link.destination_id.to_bytes(4, "big")
    elif message is not None:
        flags |= _UUID_FLAG
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
            payload[_HEADER.size : topic_at].decode(), _CHANNELS[flags & _CHANNEL_MASK]
        ),
        scope=payload[topic_at:message_at].decode() or ALL_MARKETING,
        message_id=str(UUID(bytes=message)) if flags & _UUID_FLAG else message.decode(),
        issued_at=datetime.fromtimestamp(seconds, UTC),
        key_id=key_id,
        destination_id=destination,
    )
    return link, purpose


def restore_address(exact: str, channel: Channel) -> Address:
    """The address of a stored canonical form, even if today's rules would not accept it."""
    match channel:
        case Channel.EMAIL:
            try:
                return parse_address(exact, channel)
            except InvalidAddress:
                return Address(channel, exact, exact, None)
        case Channel.SMS | Channel.PHONE:
            return Address(channel, exact, exact, None)
        case _:
            assert_never(channel)


def _uuid_bytes(text: str) -> bytes | None:
    """The bytes of a UUID in the format of `str`, so that it decodes to the same text."""
    return UUID(text).bytes if _UUID.fullmatch(text) else None
