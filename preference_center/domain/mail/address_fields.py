"""Whom a report is about, out of the fields that name a recipient."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from email.message import Message
from email.utils import getaddresses

_TYPED = re.compile(r"\s*([A-Za-z0-9-]{1,20})\s*;(.*)", re.DOTALL)
_NO_MAIL = {"x400", "x500", "mts", "dns", "system"}
_COMMENT = re.compile(r"\([^()]{0,500}\)")
_UNICODE = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")

# What reporters write in place of an address (RFC 6590 lets them write anything, and AOL,
# Comcast and others do): never somebody's address (RULES F7).
_PLACEHOLDER = re.compile(
    r"""(?: redact(?:ed)?.* | .*[-_.+]redacted | hash(?:ed)?(?:[-_.+].*)? | md5(?:[-_.+].*)?
        | sha-?(?:1|256)(?:[-_.+].*)? | (?:remov|withh|anonymi[sz]|mask|obfuscat|suppress)[a-z]*
        | hidden | undisclosed.* | unspecified | not-?available | privacy | private | x{3,}
        | [0-9a-f]{32} | [0-9a-f]{40} | [0-9a-f]{64} )@.*
      | .*(?:\.\.\.|\u2026|\*\*|\[|\]|\{|\}|<|>).*
      | .*@(?:.*\.)?(?:redacted|hidden|invalid|removed)(?:\..*)?""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_NEVER = re.compile(r"[\x00-\x20\x7f\ufffd]")
_LONGEST = 1000  # characters
_FIELD = 50_000
"""Characters of a field that are searched for addresses."""
_MANY = 100
"""Fields of one kind that are read."""
_LOOSE = re.compile(r'[^\s<>"(),:;@]{1,64}@[^\s<>"(),:;@]{1,255}')


def named(value: str) -> str | None:
    """The address in a field like `rfc822; jane@example.com` (RFC 3464 2.3.1, RFC 6533 3).

    None if there is none, as in `x400;`, and for a placeholder.
    """
    typed = _TYPED.fullmatch(value[:_LONGEST])
    kind, text = (typed[1].lower(), typed[2]) if typed else ("", value[:_LONGEST])
    text = _COMMENT.sub("", text).strip()
    if "<" in text:
        text = text.partition("<")[2].partition(">")[0]
    text = text.strip().strip('"').removeprefix("mailto:")
    if kind == "utf-8":
        text = _UNICODE.sub(_character, text)
    return None if kind in _NO_MAIL or not is_usable(text) else text


def names_of(original: str, final: str) -> tuple[str, ...]:
    """The names of one recipient: as it was mailed, and as the last server knew it.

    Some servers pass the original on as it was encoded for SMTP (xtext, RFC 3461 4).
    """
    first, last = named(original), named(final)
    if first and last and _XTEXT.sub(_character, first) == last:
        first = None
    return tuple(dict.fromkeys(name for name in (first, last) if name))


def sole(header: Message, field: str) -> str | None:
    """The one address in a field of a mail that came back; None if it has several or none."""
    values = [str(value)[:_LONGEST] for value in header.get_all(field, [])]
    found = set(usable(addresses_in(values)))
    return found.pop() if len(found) == 1 else None


def addresses_in(values: Sequence[str]) -> list[str]:
    """The bare addresses in fields of a header, of any form and length. Raises nothing.

    The standard library calls itself for each comment within a comment, and for each group
    within a group. Neither holds an address that counts: comments are left out, and of a
    field that it still can't read what looks like an address is found.
    """
    found: list[str] = []
    for value in values[:_MANY]:
        text = without_comments(value[:_FIELD])
        try:
            found.extend(address for _, address in getaddresses([text]))
        except Exception:  # noqa: BLE001 - hostile fields: whatever it raises, the mail is read
            found.extend(_LOOSE.findall(text))
    return found


def without_comments(value: str) -> str:
    """A field without its comments, however deep they are (RFC 5322 3.2.2).

    Where one never ends, brackets mean nothing.
    """
    kept: list[str] = []
    depth, quoted, escaped = 0, False, False
    for character in value:
        if escaped or character == "\\":
            escaped = not escaped
        elif character == '"' and not depth:
            quoted = not quoted
        elif character == "(" and not quoted:
            depth += 1
        elif character == ")" and depth and not quoted:
            depth -= 1
            continue
        if not depth:
            kept.append(character)
    return value.replace("(", " ").replace(")", " ") if depth else "".join(kept)


def usable(values: Iterable[str]) -> tuple[str, ...]:
    """Those that may be an address."""
    return tuple(dict.fromkeys(value for value in values if is_usable(value)))


def is_usable(text: str) -> bool:
    """Whether it looks like an address, and not like something in place of one.

    One that could not be decoded, or holds a NUL, is none: without that it is another's.
    """
    return "@" in text[1:-1] and _NEVER.search(text) is None and not _PLACEHOLDER.fullmatch(text)


def _character(found: re.Match[str]) -> str:
    try:
        return chr(int(found[1], 16))
    except (ValueError, OverflowError):
        return found[0]
