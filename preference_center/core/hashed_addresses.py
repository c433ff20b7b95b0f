"""Addresses of which only a hash is known: lists that a vendor or partner hands over hashed.

A hash stands for one string, as its maker wrote it: nearly always the address trimmed and in
lower case, in UTF-8 (Mailchimp's subscriber hash is the MD5 of exactly that). Where that is
our canonical form too, the hash is found; a domain left in Unicode or a phone number other
than E.164 is not, and nothing can tell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from preference_center.core.addresses import Channel, KeyKind
from preference_center.core.errors import InvalidAddress

HASHED_ADDRESS_KINDS = KeyKind.EXACT | KeyKind.MAILBOX
"""What the one string behind a hash may be: an address, and the mailbox of its other forms.

As if the address had been given readable, so that it covers `j.ane@gmail.com` where the
hash is that of `jane@gmail.com`. If the string is no mailbox form itself (it has a tag, or
dots at Gmail), no candidate has it as one, and the wider kind matches nothing. What can't be
derived from a hash are the string's own wider forms: the hash of `j.ane@gmail.com` covers that
address alone, the hash of `jane+x@example.com` not `jane@example.com`. Once the address itself
becomes known, by any event, a SHA-256 is found to be its hash and covers what it covers; an
MD5 stays as it was.
"""

_HEX = re.compile(r"[0-9a-fA-F]+")


class HashAlgorithm(StrEnum):
    """How it was hashed."""

    SHA256 = "sha256"
    MD5 = "md5"
    KEYED = "keyed"
    """Not a list's: our own digest, by which a stored row is known when nothing else is left."""


LIST_ALGORITHMS = (HashAlgorithm.SHA256, HashAlgorithm.MD5)
"""Those of lists that are handed over hashed."""

_ALGORITHM_BY_LENGTH = {64: HashAlgorithm.SHA256, 32: HashAlgorithm.MD5}


@dataclass(frozen=True, slots=True, repr=False)
class HashedAddress:
    """The hash of one address, 32 bytes (SHA-256) or 16 (MD5). Made by `parse_hashed_address`.

    One that is KEYED, 32 bytes, is made from a stored row only.

    Guessing the address from it is easy: it is personal data, and never stored as it is.
    """

    channel: Channel
    algorithm: HashAlgorithm
    digest: bytes

    def __repr__(self) -> str:
        """Without the bytes, by which an address can be guessed (I12)."""
        return f"<Hashed {self.channel.value} {self.algorithm.value}>"


def parse_hashed_address(raw: str, channel: Channel) -> HashedAddress:
    """The hash written as 64 (SHA-256) or 32 (MD5) hexadecimal digits, in either case.

    Raises InvalidAddress, whose message names the fix and does not hold the hash.
    """
    text = raw.strip()
    algorithm = _ALGORITHM_BY_LENGTH.get(len(text))
    if algorithm is None or not _HEX.fullmatch(text):
        raise InvalidAddress(
            "The hash can't be read: send the 64 hexadecimal digits of a SHA-256,"
            " or the 32 of an MD5, with nothing around them."
        )
    return HashedAddress(channel, algorithm, bytes.fromhex(text))
