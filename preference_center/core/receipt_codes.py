"""Short references to events, for a person to read out and for support to find.

Fifteen characters are the first 75 bits of the event's id in Crockford's base32, the
sixteenth is a check character. For ids of version 7 that is the millisecond and 21 random
bits: nothing personal, and no more than a time to anyone who finds one.

Source: https://www.crockford.com/base32.html (alphabet, and what is read as what); its check
symbols can't be read out on the phone, so the check is Luhn's, modulo 32.
"""

from __future__ import annotations

from uuid import UUID

from preference_center.core.errors import InvalidInput

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOKALIKES = str.maketrans("ILO", "110", " -")
_BASE = len(_ALPHABET)
_BITS = 5
_DATA_CHARACTERS = 15
_GROUP_SIZE = 4
_DROPPED_BITS = 128 - _BITS * _DATA_CHARACTERS


def format_receipt_code(event_id: UUID) -> str:
    """The reference of an event, as `1C4K-8X2M-Q7RV-3F5D`."""
    number = event_id.int >> _DROPPED_BITS
    digits = [number >> _BITS * place & _BASE - 1 for place in reversed(range(_DATA_CHARACTERS))]
    text = "".join(_ALPHABET[digit] for digit in [*digits, _check_digit(digits)])
    return "-".join(text[at : at + _GROUP_SIZE] for at in range(0, len(text), _GROUP_SIZE))


def parse_receipt_code(text: str) -> tuple[UUID, UUID]:
    """The first and the last event id that may have this reference.

    Case, spaces and dashes do not matter, and I, L and O are read as 1, 1 and 0. Raises
    InvalidInput, which names what to check, when a character is wrong or missing.
    """
    plain = text.strip().upper().translate(_LOOKALIKES)
    if len(plain) != _DATA_CHARACTERS + 1:
        raise InvalidInput(f"a reference has {_DATA_CHARACTERS + 1} letters and digits")
    digits = [_ALPHABET.find(character) for character in plain]
    if -1 in digits or _check_digit(digits[:-1]) != digits[-1]:
        raise InvalidInput("a character of this reference is wrong: compare it with the receipt")
    number = 0
    for digit in digits[:-1]:
        number = number << _BITS | digit
    low = number << _DROPPED_BITS
    return UUID(int=low), UUID(int=low | (1 << _DROPPED_BITS) - 1)


def _check_digit(digits: list[int]) -> int:
    """Luhn modulo 32: finds every wrong character, and neighbours that were swapped."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = digit * (2 if place % 2 == 0 else 1)
        total += doubled // _BASE + doubled % _BASE
    return -total % _BASE
