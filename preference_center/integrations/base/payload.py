"""Parsing of webhook bodies, and comparison of signatures: shared by all vendors."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl

from preference_center.core.errors import InvalidInput
from preference_center.integrations.base.vendor_events import (
    NotConfigured,
    SignatureError,
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
)

_JSON_ESCAPE = b"\\u"
_INVALID_BODY = "the body is not what the vendor promises"
_STATUS_CODE = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_EVENT_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.:/ -]{0,59}")


def parse_json_objects(body: bytes) -> list[dict[str, Any]]:
    """A JSON array of objects, or a single one. Raises InvalidInput, quoting nothing."""
    try:
        found = json.loads(body)
        if _JSON_ESCAPE in body:
            found = _replace_unstorable(found)
    except (ValueError, RecursionError):
        raise InvalidInput(_INVALID_BODY) from None
    rows = found if isinstance(found, list) else [found]
    if not all(isinstance(row, dict) for row in rows):
        raise InvalidInput(_INVALID_BODY)
    return rows


def parse_form_fields(body: bytes) -> list[tuple[str, str]]:
    """The fields of a URL-encoded form in their order, empty ones too.

    Escaped bytes that are not UTF-8 are replaced. Raises InvalidInput, quoting nothing.
    """
    try:
        return parse_qsl(body.decode(), keep_blank_values=True)
    except ValueError:
        raise InvalidInput(_INVALID_BODY) from None


def _replace_unstorable(value: Any) -> Any:
    """The same with SUBSTITUTE for what PostgreSQL can't store: NUL, and lone surrogates.

    SUBSTITUTE is part of no address, so an address that held them does not become another's.
    """
    match value:
        case str():
            return _UNSTORABLE.sub("\x1a", value)
        case list():
            return [_replace_unstorable(each) for each in value]
        case dict():
            return {
                _replace_unstorable(name): _replace_unstorable(each) for name, each in value.items()
            }
    return value


def get_text(row: dict[str, Any], name: str) -> str:
    """A field as text; "" if it is missing or null."""
    value = row.get(name)
    return "" if value is None else str(value)


def get_object(row: dict[str, Any], *names: str) -> dict[str, Any]:
    """The object within objects that `names` lead to; empty if there is none."""
    found: Any = row
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def get_list(row: dict[str, Any], name: str) -> list[Any]:
    """A field that is a list; empty if it is none."""
    value = row.get(name)
    return value if isinstance(value, list) else []


def parse_epoch(value: object, *, per_second: int = 1) -> datetime | None:
    """A number of seconds (or `per_second` parts of them) since 1970; None for nonsense."""
    try:
        return datetime.fromtimestamp(float(str(value)) / per_second, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def parse_iso_time(value: object, *, zone: tzinfo | None = None) -> datetime | None:
    """A time of ISO 8601; None for nonsense, and for one that names no zone.

    `zone`: the one that the vendor documents for times without. A time whose zone is only
    assumed may be half a day off (I5).
    """
    try:
        found = datetime.fromisoformat(str(value))
        if found.tzinfo is None:
            return None if zone is None else found.replace(tzinfo=zone).astimezone(UTC)
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def parse_mail_date(value: object) -> datetime | None:
    """A time as mail and HTTP write it (RFC 5322 3.3, RFC 9110 5.6.7), in UTC; None for nonsense.

    One without a zone, or of the unknown zone `-0000`, is taken for UTC.
    """
    try:
        found = parsedate_to_datetime(str(value))
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def find_status_code(reply: str) -> str:
    """The enhanced status code (RFC 3463) in a server's reply; "" if there is none."""
    found = _STATUS_CODE.search(reply)
    return found[1] if found else ""


def is_complaint(feedback_type: str) -> bool:
    """Whether a feedback report of this type (RFC 5965, 6591) is about mail nobody wanted.

    "" is one without a type.
    """
    return feedback_type.casefold() not in {"not-spam", "auth-failure"}


def unknown_event(event_type: str) -> VendorEvent:
    """An event of a type that the vendor's module doesn't know.

    Text that doesn't look like the name of a type is not kept: it might be personal (I12).
    """
    return VendorEvent(
        VendorEventKind.UNKNOWN_TYPE,
        "",
        event_type if _EVENT_TYPE.fullmatch(event_type) else "(no name)",
    )


def require_recipient(events: Iterable[VendorEvent]) -> list[VendorEvent]:
    """The events that name a recipient; an opt-out without one becomes an UNKNOWN_TYPE."""
    found = []
    for event in events:
        if event.address or event.contact_id or event.kind is VendorEventKind.UNKNOWN_TYPE:
            found.append(event)
        elif event.kind not in {VendorEventKind.CONTACT_CHANGED, VendorEventKind.RESUBSCRIBED}:
            found.append(unknown_event(f"{event.kind} without address"))
    return found


def require_setting(settings: Mapping[str, str], name: str) -> str:
    """A setting without which nothing can be verified. Raises NotConfigured."""
    found = settings.get(name)
    if not found:
        raise NotConfigured(f"the setting {name} is missing: without it no webhook can be verified")
    return str(found)


def require_header(request: WebhookRequest, name: str) -> str:
    """A header that a genuine request has. Raises SignatureError."""
    found = request.headers.get(name)
    if not found:
        raise SignatureError("the request is not signed")
    return found


def constant_time_equal(first: str, second: str) -> bool:
    """Whether two texts are equal, in constant time."""
    return hmac.compare_digest(first.encode(), second.encode())
