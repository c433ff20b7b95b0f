"""Mails that vendors receive for us and post to our webhook, in whatever form they do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import formataddr, getaddresses
from typing import Any
from urllib.parse import parse_qsl

from preference_center.domain.news import Post
from preference_center.errors import InvalidInput

_NAME = re.compile(r"[!-9;-~]+")
"""A field's name, RFC 5322 3.6.8."""
_BREAKS = re.compile(r"[\r\n\0]+")
_OF_THE_BODY = ("content-", "mime-version")
_ERRORS = {True: "replace", False: "strict"}
"""Of a text that is what somebody else sent a wrong byte is no reason to lose all of it."""
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def composed(headers: Iterable[tuple[str, str]], text: str, html: str = "") -> bytes:
    """A mail with these header fields and this body; fields about its encoding are left out."""
    mail = EmailMessage(policy.SMTPUTF8)
    if text or not html:
        mail.set_content(text)
        if html:
            mail.add_alternative(html, subtype="html")
    else:
        mail.set_content(html, subtype="html")
    lines = [
        f"{name}: {_BREAKS.sub(' ', value)}\r\n"
        for name, value in headers
        if _NAME.fullmatch(name) and not name.casefold().startswith(_OF_THE_BODY)
    ]
    return "".join(lines).encode(errors="replace") + mail.as_bytes()


def fields(given: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Header fields given as an object: one that is repeated has a list of values."""
    for name, value in given.items():
        for each in value if isinstance(value, list) else [value]:
            yield name, str(each)


def mailbox(name: str, address: str) -> str:
    """As a From field has it; an address may hold more than ASCII (RFC 6532)."""
    return f"{formataddr((name, '')).removesuffix('<>')}<{address}>" if name else address


def addresses(*texts: str) -> list[str]:
    """The addresses of header fields such as To, without names."""
    return [address for _, address in getaddresses([*texts]) if address]


def form_of(post: Post) -> dict[str, str] | None:
    """The fields of a posted form, each by its first value; None if the body is no form.

    Files that come with it are left out. A field `charsets` says how the others are encoded
    where that is not UTF-8, as SendGrid does. Raises InvalidInput if it cannot be read.
    """
    kind = post.headers.get("content-type", "")
    if not kind.casefold().startswith(_FORMS):
        return None
    try:
        pairs = _pairs(kind, post.body)
        return dict(reversed([*pairs]))  # the first of a name counts
    except (ValueError, LookupError, RecursionError):
        raise InvalidInput("the body is not what the vendor promises") from None


def _pairs(kind: str, body: bytes) -> list[tuple[str, str]]:
    if not kind.casefold().startswith("multipart/"):
        return parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
    head = f"Content-Type: {_BREAKS.sub(' ', kind)}\r\n\r\n".encode()
    whole = BytesParser(policy=policy.HTTP).parsebytes(head + body)
    found = [*_fields(whole.iter_parts())] if whole.is_multipart() else []
    given = json.loads(dict(found).get("charsets", b"{}"))
    charsets = given if isinstance(given, dict) else {}
    return [
        (name, content.decode(str(charsets.get(name, "utf-8")), _ERRORS[name in charsets]))
        for name, content in found
    ]


def _fields(parts: Iterable[Any]) -> Iterator[tuple[str, bytes]]:
    for part in parts:
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and part.get_filename() is None and isinstance(content, bytes):
            yield name, content
