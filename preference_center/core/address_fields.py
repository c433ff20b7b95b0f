"""The recipients of a report, from the fields that name them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from email.message import Message
from email.utils import getaddresses

_TYPED_ADDRESS = re.compile(r"\s*([A-Za-z0-9-]{1,20})\s*;(.*)", re.DOTALL)
_NON_MAIL_TYPES = {"x400", "x500", "mts", "dns", "system"}
_COMMENT = re.compile(r"\([^()]{0,500}\)")
_UNICODE = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")

# What reporters write instead of an address (RFC 6590 allows anything; AOL, Comcast and others
# use this): never a real address (RULES F7).
_PLACEHOLDER = re.compile(
    r"""(?: redact(?:ed)?.* | .*[-_.+]redacted | hash(?:ed)?(?:[-_.+].*)? | md5(?:[-_.+].*)?
        | sha-?(?:1|256)(?:[-_.+].*)? | (?:remov|withh|anonymi[sz]|mask|obfuscat|suppress)[a-z]*
        | hidden | undisclosed.* | unspecified | not-?available | privacy | private | x{3,}
        | [0-9a-f]{32} | [0-9a-f]{40} | [0-9a-f]{64} )@.*
      | .*(?:\.\.\.|\u2026|\*\*|\[|\]|\{|\}|<|>).*
      | .*@(?:.*\.)?(?:redacted|hidden|invalid|removed)(?:\..*)?""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_INVALID_CHARACTER = re.compile(r"[\x00-\x20\x7f\ufffd]")
_MAX_ADDRESS_LENGTH = 1000  # characters
_MAX_ADDRESS_FIELD_LENGTH = 50_000
"""Characters of a field that are searched for addresses."""
_MAX_FIELDS = 100
"""Fields of one kind that are read."""
_ADDRESS_LIKE = re.compile(r'[^\s<>"(),:;@]{1,64}@[^\s<>"(),:;@]{1,255}')


def parse_recipient_field(value: str) -> str | None:
    """The address in a field like `rfc822; jane@example.com` (RFC 3464 2.3.1, RFC 6533 3).

    None if there is none, as in `x400;`, and for a placeholder.
    """
    typed = _TYPED_ADDRESS.fullmatch(value[:_MAX_ADDRESS_LENGTH])
    kind, text = (typed[1].lower(), typed[2]) if typed else ("", value[:_MAX_ADDRESS_LENGTH])
    text = _COMMENT.sub("", text).strip()
    if "<" in text:
        text = text.partition("<")[2].partition(">")[0]
    text = text.strip().strip('"').removeprefix("mailto:")
    if kind == "utf-8":
        text = _UNICODE.sub(_character, text)
    return None if kind in _NON_MAIL_TYPES or not is_usable_address(text) else text


def recipient_addresses(original: str, final: str) -> tuple[str, ...]:
    """The names of one recipient: as the mail was addressed, and as the last server knew it.

    Some servers pass on the original in its SMTP encoding (xtext, RFC 3461 4).
    """
    first, last = parse_recipient_field(original), parse_recipient_field(final)
    if first and last and _XTEXT.sub(_character, first) == last:
        first = None
    return tuple(dict.fromkeys(name for name in (first, last) if name))


def single_address(header: Message, field: str) -> str | None:
    """The only address in a field of a returned mail; None if it has several or none."""
    values = [str(value)[:_MAX_ADDRESS_LENGTH] for value in header.get_all(field, [])]
    found = set(usable_addresses(parse_addresses(values)))
    return found.pop() if len(found) == 1 else None


def parse_addresses(values: Sequence[str]) -> list[str]:
    """The bare addresses in header fields of any form and length. Raises nothing.

    The standard library recurses for every nested comment and group. Neither contains an address
    that counts: comments are removed first, and in a field that it still can't parse, text that
    looks like an address is searched for.
    """
    found: list[str] = []
    for value in values[:_MAX_FIELDS]:
        text = strip_comments(value[:_MAX_ADDRESS_FIELD_LENGTH])
        try:
            found.extend(address for _, address in getaddresses([text]))
        except Exception:  # noqa: BLE001 - hostile fields: whatever it raises, the mail is processed
            found.extend(_ADDRESS_LIKE.findall(text))
    return found


def strip_comments(value: str) -> str:
    """A field without its comments, however deeply nested (RFC 5322 3.2.2).

    If a comment never ends, parentheses are taken literally.
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


def usable_addresses(values: Iterable[str]) -> tuple[str, ...]:
    """Those that may be addresses."""
    return tuple(dict.fromkeys(value for value in values if is_usable_address(value)))


def is_usable_address(text: str) -> bool:
    """Whether it looks like an address, and not like a placeholder for one.

    Text that could not be decoded or contains a NUL is not usable: without these characters it
    would be another person's address.
    """
    return (
        "@" in text[1:-1]
        and _INVALID_CHARACTER.search(text) is None
        and not _PLACEHOLDER.fullmatch(text)
    )


def _character(found: re.Match[str]) -> str:
    try:
        return chr(int(found[1], 16))
    except (ValueError, OverflowError):
        return found[0]
