"""The parser splits a mail into its parts, in bounded time and memory, and finds recipients.

The standard library parses. This module adds the limits: a part that is itself a message is not
parsed, since only its text counts; and a mail with more parts or boundaries than any legitimate
one is rejected, because each costs time on every line after it.

`recipient_addresses` reads the recipients of a report from the fields that name them.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser, HeaderParser
from email.policy import Compat32, compat32
from email.utils import getaddresses
from typing import Any

from preference_center.core.errors import PreferenceCenterError

MAIL_HEAD_BYTES = 256 * 1024
"""How much of a mail is read, whatever its size."""


MAX_LINES = 10_000
MAX_PARTS = 300
MAX_BOUNDARIES = 24
MAX_FIELDS = 1000
"""Header lines that begin a field."""


_MAX_ENVELOPES = 3
"""Certified mails in each other that are opened: people forward one as an attachment."""


_MAX_FIELD_LENGTH = 2000
"""Characters of a field that are read."""


_EXCERPT_BYTES = 24 * 1024
_EXCERPT_LINES = 600
_MAX_LINE_LENGTH = 998  # RFC 5322 2.1.1


_UNSAFE_CODECS = {"punycode", "idna", "unicode_escape", "raw_unicode_escape", "undefined"}
"""Python codecs that are not charsets of mail; some are very slow."""


_LINE_END = re.compile(rb"\r{0,3}\n|\r")


_BOUNDARY = re.compile(rb"boundary", re.IGNORECASE)


_FIELD = re.compile(rb"^[!-9;-~]{1,200}:", re.MULTILINE)


class MimePart(Message):
    """A part of a mail. One of type `message/...` is a leaf, and called `text/x-message-...`."""

    def get_content_type(self) -> str:
        """The type in lower case."""
        found = super().get_content_type()
        return f"text/x-message-{found[8:]}" if found.startswith("message/") else found

    def get(self, name: str, failobj: Any = None) -> Any:
        """The beginning of a field: parsing parameters takes superlinear time."""
        wanted = name.lower()
        found = (value for known, value in self.raw_items() if known.lower() == wanted)
        value = next(found, None)
        return failobj if value is None else decode_field(value)[:_MAX_FIELD_LENGTH]


@dataclass(frozen=True, slots=True)
class TextPart:
    """A part that holds text."""

    content_type: str
    """Content type, `message/delivery-status`."""
    text: str
    """Decoded, whatever its charset claims; line ends are LF."""


@dataclass(frozen=True, slots=True)
class ParsedMail:
    """A mail: its header and its texts, in their order."""

    message: Message
    text_parts: tuple[TextPart, ...]
    report_type: str
    """`delivery-status` and the like, of a multipart/report (RFC 6522)."""
    excerpt: bytes
    """The header, and as much of the body as a mail system needs to describe a failure."""
    is_truncated: bool = False
    """Whether the mail is longer than what is read."""

    def field(self, name: str) -> str:
        """A field of the header, unfolded; "" if there is none."""
        return decode_header_value(self.message.get(name, ""))

    def texts_of_type(self, *content_types: str) -> list[str]:
        """The texts of these types."""
        return [leaf.text for leaf in self.text_parts if leaf.content_type in content_types]


def parse_mail(head: bytes) -> ParsedMail:
    """Split the beginning of a mail, with any line ends. Raises MailTooComplex.

    Of a certified mail this is the mail that the provider has enclosed: see `certified_mail`.
    """
    mail = _parse_mail(head)
    for _ in range(_MAX_ENVELOPES):
        enclosed = certified_mail(mail)
        if enclosed is None:
            break
        inner = _parse_mail(enclosed)
        mail = replace(inner, is_truncated=mail.is_truncated or inner.is_truncated)
    return mail


def certified_mail(mail: ParsedMail) -> bytes | None:
    """The mail that a provider of certified mail (PEC) delivers enclosed in one of its own.

    Its envelope is from the provider's address, and its field `X-Trasporto` is
    `posta-certificata`, or `errore` where the enclosed mail itself is not certified (technical
    rules of DM 2 November 2005, 6.3 and 6.4; law of Italy, CAD art. 48). Of REM, which follows
    PEC, it is a dispatch (ETSI TS 102 640-2). None for other mails.
    """
    is_dispatch = mail.field("X-REM-Msg-Type").strip().lower() == "dispatch"
    if not is_dispatch and "X-Trasporto" not in mail.message:
        return None
    return next(iter(enclosed_contents(mail)), None)


def enclosed_contents(mail: ParsedMail) -> list[bytes]:
    """The mails that a mail encloses, in their order, as they were sent."""
    found = (
        part.get_payload(decode=True) for part in mail.message.walk() if _is_enclosed_mail(part)
    )
    return [content for content in found if isinstance(content, bytes)]


def _is_enclosed_mail(part: Message) -> bool:
    """Whether it is a mail by its type, or by the name that PEC gives it: gateways change types."""
    return _content_type(part) == "message/rfc822" or (
        not part.is_multipart() and (part.get_filename() or "").lower() == "postacert.eml"
    )


def _parse_mail(head: bytes) -> ParsedMail:
    content = _LINE_END.sub(b"\n", head[:MAIL_HEAD_BYTES]).lstrip(b"\n")
    is_cut = len(head) > MAIL_HEAD_BYTES or content.count(b"\n") > MAX_LINES
    content = _first_lines(content, MAX_LINES)
    if len(_BOUNDARY.findall(content)) > MAX_BOUNDARIES:
        raise MailTooComplex("the mail has too many boundaries")
    if len(_FIELD.findall(content.partition(b"\n\n")[0])) > MAX_FIELDS:
        raise MailTooComplex("the header of the mail has too many fields")
    mail = parse_mime(content)
    leaves = [
        TextPart(_content_type(part), decode_text_part(part))
        for part in mail.walk()
        if not part.is_multipart() and _holds_text(part)
    ]
    report_type = str(mail.get_param("report-type", "") or "").strip().lower()
    header, blank, body = content.partition(b"\n\n")
    lines = body[:_EXCERPT_BYTES].split(b"\n", _EXCERPT_LINES)[:_EXCERPT_LINES]
    beginning = header + blank + b"\n".join(line[:_MAX_LINE_LENGTH] for line in lines)
    return ParsedMail(mail, tuple(leaves), report_type, beginning, is_cut)


def parse_mime(content: bytes) -> Message:
    """The mail, parsed by the standard library; inner messages are text. Raises MailTooComplex."""
    made = 0

    def make(policy: Compat32 = compat32) -> MimePart:
        nonlocal made
        made += 1
        if made > MAX_PARTS:
            raise MailTooComplex("the mail has too many parts")
        return MimePart(policy=policy)

    return BytesParser(make).parsebytes(content)


def decode_text_part(part: Message) -> str:
    """The decoded text of a part without subparts."""
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    charset = part.get_param("charset", "utf-8")
    name = charset[2] if isinstance(charset, tuple) else str(charset)
    text = decode_charset(payload, name.strip("'\" ") or "utf-8")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")


def decode_charset(content: bytes, charset: str) -> str:
    """The text in that charset; if it is unknown or false, in UTF-8 or else Latin-1."""
    for name in (charset, "utf-8"):
        try:
            if codecs.lookup(name).name.replace("-", "_") not in _UNSAFE_CODECS:
                return content.decode(name)
        except (LookupError, ValueError):
            continue
    return content.decode("latin-1")


def decode_field(value: Any) -> str:
    """A field as it was sent: non-ASCII bytes are UTF-8 (RFC 6532), or else Latin-1."""
    text = str(value)
    try:
        return text.encode("ascii", "surrogateescape").decode("utf-8")
    except UnicodeEncodeError:
        return text
    except UnicodeDecodeError:
        return text.encode("ascii", "surrogateescape").decode("latin-1")


def field_values(header: Message, *fields: str) -> list[str]:
    """All values of these fields, in the order of `fields`, as they were sent."""
    found: dict[str, list[str]] = {}
    for name, value in header.raw_items():
        found.setdefault(name.lower(), []).append(decode_field(value))
    return [value for field in fields for value in found.get(field.lower(), [])]


def parse_header(text: str) -> Message:
    """The header that a text begins with, such as that of a returned mail."""
    return HeaderParser().parsestr(text.lstrip("\n").partition("\n\n")[0][:MAIL_HEAD_BYTES])


def decode_header_value(value: Any) -> str:
    """The value of a field on one line, encoded words decoded (RFC 2047). Raises nothing."""
    text = " ".join(str(value)[:_MAX_FIELD_LENGTH].split())
    if "=?" not in text:
        return text
    try:
        return str(make_header(decode_header(text)))
    except Exception:  # noqa: BLE001 - invalid base64, charsets, lengths: it stays as it was sent
        return text


def _first_lines(content: bytes, limit: int) -> bytes:
    return b"\n".join(content.split(b"\n", limit)[:limit])


def _content_type(part: Message) -> str:
    return part.get_content_type().replace("text/x-message-", "message/", 1)


def _holds_text(part: Message) -> bool:
    """Text, or a multipart that could not be split: its boundary is missing or wrong."""
    return part.get_content_maintype() in {"text", "multipart"}


class MailTooComplex(PreferenceCenterError):
    """The mail has more parts, or deeper nesting, than any legitimate one."""


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
