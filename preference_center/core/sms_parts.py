"""Text messages that stay within one part; each part is paid for.

3GPP TS 23.038 6.2.1 and TS 23.040 9.2.3.24.1: one part carries 160 septets of the GSM 7 bit
default alphabet; one other character makes all of the message UCS-2, with 70 code units.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping

GSM_ALPHABET = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENSION = frozenset("\f^{}\\[~]|€")
"""An escape comes before each, so it takes two septets."""

SEPTETS = 160
"""What one part carries."""
_CONCATENATED_SEPTETS = 153
_UCS2_UNITS, _CONCATENATED_UCS2_UNITS = 70, 67
"""A header takes the rest of each part of several (3GPP TS 23.040 9.2.3.24.1)."""
MAX_NAME_SEPTETS = 30
"""A name up to this length is not shortened in our own messages, in any language."""

_MIN_FIELD = 8  # septets; a name that is cut further says nothing
_ELLIPSIS = "..."

_REPLACEMENTS = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′`´", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        "…": "...",
        "•": "-",
        "œ": "oe",
        "Œ": "OE",
        "ł": "l",
        "Ł": "L",
        "đ": "d",
        "Đ": "D",
        "ð": "d",
        "Ð": "D",
        "þ": "th",
        "Þ": "Th",
        "ı": "i",
        "ẞ": "SS",
    }
)


def count_septets(text: str) -> int | None:
    """Septets of the text, or None where it has a character outside of the GSM alphabet."""
    if not all(each in GSM_ALPHABET or each in GSM_EXTENSION for each in text):
        return None
    return len(text) + sum(each in GSM_EXTENSION for each in text)


def excess_parts(text: str) -> str | None:
    """Why a text that is sent as it is takes more than one part; None if it takes one."""
    septets = count_septets(text)
    if septets is not None:
        parts = _count_parts(septets, SEPTETS, _CONCATENATED_SEPTETS)
        reason = f"one has {SEPTETS} characters; shorten it by {septets - SEPTETS}"
    else:
        units = len(text.encode("utf-16-le")) // 2
        parts = _count_parts(units, _UCS2_UNITS, _CONCATENATED_UCS2_UNITS)
        lacking = [each for each in dict.fromkeys(text) if count_septets(each) is None]
        reason = (
            f"with {' '.join(lacking[:3])} in it, which their alphabet lacks, one has"
            f" {_UCS2_UNITS} characters and not {SEPTETS}"
        )
    return f"takes {parts} text messages: {reason}" if parts > 1 else None


def _count_parts(size: int, single: int, concatenated: int) -> int:
    return 1 if size <= single else -(-size // concatenated)


def to_gsm(text: str) -> str | None:
    """The text in the GSM alphabet: `más` as `mas`, with straight quotes and plain spaces.

    None where that is not possible, as for Greek, Cyrillic or Chinese.
    """
    written = "".join(map(_to_gsm_character, unicodedata.normalize("NFC", text)))
    return None if count_septets(written) is None else written


def fit_in_one_part(write: Callable[[Mapping[str, str]], str], fields: Mapping[str, str]) -> str:
    """`write(fields)` within one part: the longest of `fields` are shortened until it fits.

    The text stays longer if even its shortest fields leave too little space. Characters with no
    equivalent in the GSM alphabet are kept, which makes the message UCS-2.
    """
    shortened = {name: to_gsm(field) or field for name, field in fields.items()}
    while True:
        written = write(shortened)
        written = to_gsm(written) or written
        excess = (count_septets(written) or 0) - SEPTETS
        longest = max(shortened, key=lambda name: len(shortened[name]))
        if excess <= 0 or len(shortened[longest]) <= _MIN_FIELD:
            return written
        others = [len(shortened[name]) for name in shortened if name != longest]
        size = max(len(shortened[longest]) - excess, *others, _MIN_FIELD)
        shortened[longest] = shorten(shortened[longest], min(size, len(shortened[longest]) - 1))


def shorten(text: str, size: int) -> str:
    """The beginning of the text in up to `size` characters, cut after a word where possible."""
    if len(text) <= size:
        return text
    kept = max(size - len(_ELLIPSIS), 1)
    words = text[: kept + 1].rpartition(" ")[0]
    return (words if len(words) * 2 >= kept else text[:kept]).rstrip(" ,;:-") + _ELLIPSIS


def _to_gsm_character(character: str) -> str:
    if character in GSM_ALPHABET or character in GSM_EXTENSION:
        return character
    plain = character.translate(_REPLACEMENTS)
    if plain != character:
        return plain
    base = unicodedata.normalize("NFKD", character)
    return "".join(each for each in base if not unicodedata.combining(each))
