"""Codes of short links: random, and the only key to what is stored for them.

A link in a text message has to be short, so its token is stored, under a code of 12 characters
(70 bits). The row is found by one value derived from the code and encrypted with another, so
nobody without the code can read it, the service included: the token stays where it would have
been without short links, in the message (docs/decisions/0075).
"""

from __future__ import annotations

import re
import secrets
from urllib.parse import unquote

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from preference_center.core.errors import InvalidLink
from preference_center.core.links.sealer import INVALID_LINK_MESSAGE, derive_key

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
