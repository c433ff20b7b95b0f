"""The parts of a mail, taken apart in bounded time and memory.

The standard library does the work. What is ours are the bounds: a part that is itself a
message stays closed, since all that counts of it is text; and a mail with more parts or
boundaries than any honest one is given up, for each costs time on every line after it.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser, HeaderParser
from email.policy import Compat32, compat32
from typing import Any

from preference_center.domain.mail import HEAD_OCTETS, TooComplex

MAX_LINES = 10_000
MAX_PARTS = 300
MAX_BOUNDARIES = 24
MAX_FIELDS = 1000
"""Lines of the header that begin a field."""
_MUCH = 2000
"""Characters of a field that are read."""
_BEGINNING = 24 * 1024
_BEGINNING_LINES = 600
_LINE = 998  # RFC 5322 2.1.1
_UNSAFE = {"punycode", "idna", "unicode_escape", "raw_unicode_escape", "undefined"}
"""Codecs of Python that are no charset of mail; some take very long."""

_LINE_END = re.compile(rb"\r{0,3}\n|\r")
_BOUNDARY = re.compile(rb"boundary", re.IGNORECASE)
_FIELD = re.compile(rb"^[!-9;-~]{1,200}:", re.MULTILINE)


class Part(Message):
    """A part of a mail. One of type `message/...` is a leaf, and called `text/x-message-...`."""

    def get_content_type(self) -> str:
        """The type in lower case."""
        found = super().get_content_type()
        return f"text/x-message-{found[8:]}" if found.startswith("message/") else found

    def get(self, name: str, failobj: Any = None) -> Any:
        """The beginning of a field: reading parameters takes time that grows faster than it."""
        wanted = name.lower()
        found = (value for known, value in self.raw_items() if known.lower() == wanted)
        value = next(found, None)
        return failobj if value is None else text_of_field(value)[:_MUCH]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A part that holds text."""

    kind: str
    """Content type, `message/delivery-status`."""
    text: str
    """Decoded, whatever its charset claims; line ends are LF."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A mail: its header and its texts, in their order."""

    message: Message
    leaves: tuple[Leaf, ...]
    report_type: str
    """`delivery-status` and the like, of a multipart/report (RFC 6522)."""
    beginning: bytes
    """The header and as much of the body as a mail system needs to state its case."""
    is_cut: bool = False
    """Whether it goes on after what is read."""

    def field(self, name: str) -> str:
        """A field of the header, unfolded; "" if there is none."""
        return unfolded(self.message.get(name, ""))

    def of_kind(self, *kinds: str) -> list[str]:
        """The texts of these types."""
        return [leaf.text for leaf in self.leaves if leaf.kind in kinds]


def opened(head: bytes) -> Opened:
    """Take apart the beginning of a mail, with line ends of any form. Raises TooComplex."""
    octets = _LINE_END.sub(b"\n", head[:HEAD_OCTETS]).lstrip(b"\n")
    is_cut = len(head) > HEAD_OCTETS or octets.count(b"\n") > MAX_LINES
    octets = _lines(octets, MAX_LINES)
    if len(_BOUNDARY.findall(octets)) > MAX_BOUNDARIES:
        raise TooComplex("the mail has too many boundaries")
    if len(_FIELD.findall(octets.partition(b"\n\n")[0])) > MAX_FIELDS:
        raise TooComplex("the header of the mail has too many fields")
    mail = parsed(octets)
    leaves = [
        Leaf(_kind(part), text_of(part))
        for part in mail.walk()
        if not part.is_multipart() and _holds_text(part)
    ]
    report_type = str(mail.get_param("report-type", "") or "").strip().lower()
    header, blank, body = octets.partition(b"\n\n")
    lines = body[:_BEGINNING].split(b"\n", _BEGINNING_LINES)[:_BEGINNING_LINES]
    beginning = header + blank + b"\n".join(line[:_LINE] for line in lines)
    return Opened(mail, tuple(leaves), report_type, beginning, is_cut)


def parsed(octets: bytes) -> Message:
    """The mail as the standard library has it, with its messages closed. Raises TooComplex."""
    made = 0

    def make(policy: Compat32 = compat32) -> Part:
        nonlocal made
        made += 1
        if made > MAX_PARTS:
            raise TooComplex("the mail has too many parts")
        return Part(policy=policy)

    return BytesParser(make).parsebytes(octets)


def text_of(part: Message) -> str:
    """What a leaf says."""
    octets = part.get_payload(decode=True)
    if not isinstance(octets, bytes):
        return ""
    charset = part.get_param("charset", "utf-8")
    name = charset[2] if isinstance(charset, tuple) else str(charset)
    text = decoded(octets, name.strip("'\" ") or "utf-8")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")


def decoded(octets: bytes, charset: str) -> str:
    """The text in that charset; if it is unknown or false, in UTF-8 or else Latin-1."""
    for name in (charset, "utf-8"):
        try:
            if codecs.lookup(name).name.replace("-", "_") not in _UNSAFE:
                return octets.decode(name)
        except (LookupError, ValueError):
            continue
    return octets.decode("latin-1")


def text_of_field(value: Any) -> str:
    """A field as it was sent: bytes that are not ASCII are UTF-8 (RFC 6532), or else Latin-1."""
    text = str(value)
    try:
        return text.encode("ascii", "surrogateescape").decode("utf-8")
    except UnicodeEncodeError:
        return text
    except UnicodeDecodeError:
        return text.encode("ascii", "surrogateescape").decode("latin-1")


def values_of(header: Message, *fields: str) -> list[str]:
    """All values of these fields, in the order of `fields`, as they were sent."""
    found: dict[str, list[str]] = {}
    for name, value in header.raw_items():
        found.setdefault(name.lower(), []).append(text_of_field(value))
    return [value for field in fields for value in found.get(field.lower(), [])]


def header_of(text: str) -> Message:
    """The header that a text begins with, as that of a mail that came back."""
    return HeaderParser().parsestr(text.lstrip("\n").partition("\n\n")[0][:HEAD_OCTETS])


def unfolded(value: Any) -> str:
    """The value of a field on one line, encoded words decoded (RFC 2047); raises nothing."""
    text = " ".join(str(value)[:_MUCH].split())
    if "=?" not in text:
        return text
    try:
        return str(make_header(decode_header(text)))
    except Exception:  # noqa: BLE001 - false base64, charsets, lengths: it stays as it was sent
        return text


def _lines(octets: bytes, most: int) -> bytes:
    return b"\n".join(octets.split(b"\n", most)[:most])


def _kind(part: Message) -> str:
    return part.get_content_type().replace("text/x-message-", "message/", 1)


def _holds_text(part: Message) -> bool:
    """Text, or a multipart that could not be taken apart: its boundary is missing or wrong."""
    return part.get_content_maintype() in {"text", "multipart"}
