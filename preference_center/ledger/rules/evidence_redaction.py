"""What of an event's evidence may stay readable: nothing that names the person (I8).

Events are never updated or deleted, so a name in their evidence would outlive an erasure (I6).
Some of it is filled by others: a sender's message id may be the address itself or, with some
tools, a contact's id is the MD5 of it. What names the person is replaced by a keyed digest:
support can still find it, given the original.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from typing import assert_never
from urllib.parse import unquote

from preference_center.core.addresses import Address, Channel, HashedAddress

MESSAGE_ID = "message_id"
"""The field with a sender's own id: it needs no address in it, so it may name nobody at all."""

INTERNAL_FIELDS = frozenset(
    {
        "destination",
        "import",
        "issued_at",
        "issued_on",
        "key_id",
        "method",
        "move",
        "moved_event",
        "moved_source",
        "policy",
        "proof",
        "text_version",
    }
)
"""Fields that only we fill."""

_NATIONAL_DIGITS = 9
"""People write phone numbers with and without what comes before these last digits."""
_HEX = re.compile(r"[0-9a-f]{32}")
_PHONE_TEXT = re.compile(r"(?:tel:)?\+?[\d\s()./-]++")
_E164_DIGITS = range(7, 16)
_ALGORITHMS = ("md5", "sha1", "sha256")


def redact_evidence(
    evidence: Mapping[str, str],
    address: Address | HashedAddress,
    keyed_digest: Callable[[str], str],
) -> dict[str, str]:
    """The evidence of an act of `address`, with `mark` of each value that may not stay."""
    return {
        name: value
        if name in INTERNAL_FIELDS or _is_allowed(name, value, address)
        else keyed_digest(value)
        for name, value in evidence.items()
    }


def contains_address(text: str, address: Address | HashedAddress) -> bool:
    """Whether a text has the address in a usual form: plain, escaped, as in VERP, or hashed."""
    plain = unquote(text).casefold()
    if isinstance(address, HashedAddress):
        return address.digest.hex() in plain
    match address.channel:
        case Channel.EMAIL:
            return _contains_email(text, plain, address)
        case Channel.SMS | Channel.PHONE:
            return _contains_number(plain, address)
        case _:
            assert_never(address.channel)


def _contains_number(plain: str, address: Address) -> bool:
    digits = "".join(character for character in plain if character.isdigit())
    return address.exact[-_NATIONAL_DIGITS:] in digits or _contains_hash(plain, address)


def _contains_email(text: str, plain: str, address: Address) -> bool:
    if any(form in plain for form in address.forms()):
        return True
    local, _, domain = address.exact.rpartition("@")
    return (
        f"{local}={domain}" in plain
        or _contains_hash(plain, address)
        or _contains_base64(text, address)
    )


def is_opaque(text: str) -> bool:
    """Whether a text is neither an address nor a phone number, of whomever."""
    plain = unquote(text)
    if "@" in plain:
        return False
    digits = sum(character.isdigit() for character in plain)
    return digits not in _E164_DIGITS or not _PHONE_TEXT.fullmatch(plain)


def _is_allowed(name: str, value: str, address: Address | HashedAddress) -> bool:
    if name == MESSAGE_ID and not is_opaque(value):
        return False
    return not contains_address(value, address)


def _contains_hash(plain: str, address: Address) -> bool:
    if not _HEX.search(plain):
        return False
    forms = [form.encode() for form in address.forms()]
    return any(
        hashlib.new(name, form).hexdigest() in plain for name in _ALGORITHMS for form in forms
    )


def _contains_base64(text: str, address: Address) -> bool:
    plain = address.exact.encode()
    standard = base64.b64encode(plain).rstrip(b"=").decode()
    return standard in text or base64.urlsafe_b64encode(plain).rstrip(b"=").decode() in text
