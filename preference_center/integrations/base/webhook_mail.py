"""Mails that vendors receive for us and post to our webhook, in any of their forms."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from email import policy
from email.message import EmailMessage, Message
from email.utils import formataddr
from typing import Any

from preference_center.core.errors import InvalidInput
from preference_center.core.mime import decode_charset, parse_addresses, parse_mime
from preference_center.integrations.base.vendor_events import WebhookRequest
from preference_center.integrations.base.webhook import parse_form_fields, parse_json_objects

_HEADER_NAME = re.compile(r"[!-9;-~]+")
"""A field's name, RFC 5322 3.6.8."""
_LINE_BREAKS = re.compile(r"[\r\n\0]+")
_BODY_HEADER_PREFIXES = ("content-", "mime-version")
_FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


def compose_mail(headers: Iterable[tuple[str, str]], text: str, html: str = "") -> bytes:
    """A mail with these header fields and this body; fields about its encoding are left out."""
    mail = EmailMessage(policy.SMTPUTF8)
    text, html = (each.encode(errors="replace").decode() for each in (text, html))
    if text or not html:
        mail.set_content(text)
        if html:
            mail.add_alternative(html, subtype="html")
    else:
        mail.set_content(html, subtype="html")
    lines = [
        f"{name}: {_LINE_BREAKS.sub(' ', value)}\r\n"
        for name, value in headers
        if _HEADER_NAME.fullmatch(name) and not name.casefold().startswith(_BODY_HEADER_PREFIXES)
    ]
    return "".join(lines).encode(errors="replace") + mail.as_bytes()


def iter_header_fields(headers: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Header fields given as an object: one that is repeated has a list of values."""
    for name, value in headers.items():
        for each in value if isinstance(value, list) else [value]:
            yield name, str(each)


def format_mailbox(name: str, address: str) -> str:
    """As a From field has it; an address may hold more than ASCII (RFC 6532)."""
    return f"{formataddr((name, '')).removesuffix('<>')}<{address}>" if name else address


def extract_addresses(*headers: str) -> list[str]:
    """The addresses of header fields such as To, without names. Raises nothing."""
    return [address for address in parse_addresses(headers) if address]


def parse_form(request: WebhookRequest) -> dict[str, str] | None:
    """The fields of a posted form, each by its first value; None if the body is no form.

    Files that come with it are left out. A field `charsets` names the encodings of the others
    where they are not UTF-8, as SendGrid does. Raises InvalidInput if it cannot be read.
    """
    kind = request.headers.get("content-type", "")
    if not kind.casefold().startswith(_FORM_TYPES):
        return None
    is_multipart = kind.casefold().startswith("multipart/")
    pairs = (
        _parse_multipart(kind, request.body) if is_multipart else parse_form_fields(request.body)
    )
    return dict(reversed(pairs))  # the first of a name counts


def _parse_multipart(content_type: str, body: bytes) -> list[tuple[str, str]]:
    """Name and text of each part; what cannot be decoded as it should is, as in any mail."""
    head = f"Content-Type: {_LINE_BREAKS.sub(' ', content_type)}\r\n\r\n".encode()
    try:
        whole = parse_mime(head + body)
    except Exception:  # noqa: BLE001 - TooComplex, or what the types of files make it raise
        raise InvalidInput("the form cannot be taken apart") from None
    found = [*_iter_form_fields(whole)]
    charsets = _parse_charsets(dict(found).get("charsets", b""))
    return [
        (name, decode_charset(content, str(charsets.get(name, "utf-8")))) for name, content in found
    ]


def _parse_charsets(raw: bytes) -> dict[str, Any]:
    try:
        (charsets,) = parse_json_objects(raw)
    except (InvalidInput, ValueError):
        return {}
    return charsets


def _iter_form_fields(form: Message) -> Iterator[tuple[str, bytes]]:
    """Name and content of each part that is no file, not of parts within those."""
    parts: Any = form.get_payload()
    for part in parts if isinstance(parts, list) else []:
        name, content = _field_name(part), part.get_payload(decode=True)
        if name is not None and isinstance(content, bytes):
            yield name, content


def _field_name(part: Message) -> str | None:
    """The name of a field; None for a file, whatever its name."""
    try:
        name = part.get_param("name", header="content-disposition")
        is_file = part.get_filename() is not None
    except Exception:  # noqa: BLE001 - names of files are hostile: the fields are read
        return None
    return name if isinstance(name, str) and not is_file else None
