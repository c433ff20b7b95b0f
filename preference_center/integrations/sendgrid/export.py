"""All of SendGrid's marketing contacts, by an export that SendGrid makes in its own time.

https://www.twilio.com/docs/sendgrid/api-reference/contacts/export-contacts
https://www.twilio.com/docs/sendgrid/api-reference/contacts/export-contacts-status
A search shows 50 contacts, so a million take 20,000 searches at least; an export takes as many
requests as it has files. What a file is like is not documented: lines of JSON, gzipped
(github.com/sendgrid/sendgrid-csharp/issues/1024). A JSON array and a file that is not gzipped
are read as well.

The cursor of the listing holds its id (decision 49).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from preference_center.integrations.base import runtime
from preference_center.integrations.sendgrid.models import (
    CONTACTS_PATH,
    ExportCursor,
    SearchCursor,
    SendGridContact,
    to_snapshot,
)

EXPORT_THRESHOLD = 2_000
"""Contacts from which on all of them are exported instead of searched for."""
MAX_FILE_MEGABYTES = 5
"""Megabytes, the unit of the API: a file is a page of the listing, so some 10,000 contacts."""
MAX_ROWS_PER_PAGE = 10_000
"""Rows taken at a time of a file that has more."""
MAX_FILE_BYTES = 200_000_000
"""Bytes, unpacked."""
POLL_INTERVAL = timedelta(seconds=30)
EXPORT_TIMEOUT = timedelta(hours=6)
"""How long an export may take before another one is asked for."""
MAX_ATTEMPTS = 3
"""Exports that may be lost before the contacts are searched for instead."""
LOST_STATUSES = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
"""What a file's host answers when the file is not there any more."""
_GZIP = b"\x1f\x8b"

Download = Callable[[str], runtime.Response]
"""Reads a whole URL, without our credentials; returns a status of LOST_STATUSES like a 2xx."""


class _Export(runtime.LenientModel):
    status: str = ""
    expires_at: runtime.IsoDatetime = None
    urls: Sequence[str] = ()


_CONTACT_LINE = TypeAdapter(SendGridContact)
_CONTACT_ARRAY = TypeAdapter(list[SendGridContact])


class ExportUnavailable(Exception):
    """There will be none: the contacts are to be searched for. `until`: see ExportCursor."""

    def __init__(self, until: int) -> None:
        super().__init__("SendGrid makes no export")
        self.until = until


def needs_export(session: runtime.Session) -> bool:
    """Whether there are too many contacts to search for them all."""
    answer = session.send("GET", f"{CONTACTS_PATH}/count", allowed_statuses=LOST_STATUSES)
    if answer.status != HTTPStatus.OK:
        return False
    return answer.parse_member(int, "contact_count", or_empty=True) > EXPORT_THRESHOLD


def start_export(
    session: runtime.Session, now: datetime, cursor: ExportCursor | None = None
) -> runtime.SnapshotPage:
    """Ask for an export, in place of one that was lost. Raises ExportUnavailable."""
    started_at = int(now.timestamp())
    attempt = cursor.attempt + 1 if cursor else 1
    until = cursor.until if cursor else started_at
    if attempt > MAX_ATTEMPTS:
        raise ExportUnavailable(until)
    body = {
        "file_type": "json",
        "max_file_size": MAX_FILE_MEGABYTES,
        "notifications": {"email": False},
    }
    answer = session.send(
        "POST", f"{CONTACTS_PATH}/exports", body=body, allowed_statuses=LOST_STATUSES
    )
    if answer.status in LOST_STATUSES:
        raise ExportUnavailable(until)
    export = answer.parse_member(str, "id", or_empty=True)
    if not export:
        raise ExportUnavailable(until)
    return _not_ready(ExportCursor(export, until, started_at, attempt))


def _not_ready(cursor: ExportCursor) -> runtime.SnapshotPage:
    encoded = runtime.encode_cursor(cursor)
    return runtime.ContactPage((), encoded, done=False, poll_after=POLL_INTERVAL)


def read_export_page(
    session: runtime.Session,
    download: Download,
    cursor: ExportCursor,
    now: datetime,
    field: str | None,
) -> runtime.SnapshotPage:
    """The next contacts of an export, or none yet. `field` holds links. Raises ExportUnavailable.

    One that failed, expired, names no files or is not known any more is asked for again and read
    from its beginning: a contact that is listed twice does no harm.
    """
    answer = session.send(
        "GET",
        f"{CONTACTS_PATH}/exports/{{id}}",
        path_params={"id": cursor.export},
        allowed_statuses={404},
    )
    export = answer.parse(_Export) if answer.status != HTTPStatus.NOT_FOUND else None
    if export is None or export.status == "failure" or _is_expired(export, cursor, now):
        return start_export(session, now, cursor)
    if export.status != "ready":
        return _not_ready(cursor)
    if not export.urls:  # begun only where there are many contacts
        return start_export(session, now, cursor)
    # Their order is promised nowhere, and their signatures differ each time.
    urls = sorted(export.urls, key=lambda url: urlsplit(url).path)
    if cursor.file >= len(urls):
        return runtime.ContactPage((), _search_cursor(cursor), done=True)
    answer = download(urls[cursor.file])
    if answer.status in LOST_STATUSES:
        return start_export(session, now, cursor)
    contacts = _parse_contacts(answer.body)
    part = contacts[cursor.row : cursor.row + MAX_ROWS_PER_PAGE]
    rows = tuple(to_snapshot(contact, field) for contact in part if contact.email)
    if cursor.row + MAX_ROWS_PER_PAGE < len(contacts):
        following = replace(cursor, row=cursor.row + MAX_ROWS_PER_PAGE)
    else:
        following = replace(cursor, file=cursor.file + 1, row=0)
    if following.file >= len(urls):
        return runtime.ContactPage(rows, _search_cursor(cursor), done=True)
    return runtime.ContactPage(rows, runtime.encode_cursor(following), done=False)


def _is_expired(export: _Export, cursor: ExportCursor, now: datetime) -> bool:
    """Whether it takes too long, or can't be downloaded any more."""
    if export.status == "ready":
        return export.expires_at is not None and export.expires_at <= now
    return now - datetime.fromtimestamp(cursor.begun, UTC) > EXPORT_TIMEOUT


def _search_cursor(cursor: ExportCursor) -> str:
    """The cursor of a search for what changed since the export was begun."""
    return runtime.encode_cursor(SearchCursor(cursor.until))


def _parse_contacts(body: bytes) -> Sequence[SendGridContact]:
    text = _gunzip(body).strip()
    try:
        if text.startswith(b"["):
            return _CONTACT_ARRAY.validate_json(text)
        return [_CONTACT_LINE.validate_json(line) for line in text.split(b"\n") if line.strip()]
    except ValidationError:
        # Not chained: pydantic's message quotes the line.
        raise runtime.DeliveryError(
            "the exported file is not what SendGrid exports as JSON"
        ) from None


def _gunzip(body: bytes) -> bytes:
    """All members of a gzip file (RFC 1952, 2.2). Raises DeliveryError if damaged."""
    text = b""
    while body.startswith(_GZIP):
        unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            text += unpacking.decompress(body, MAX_FILE_BYTES - len(text))
        except zlib.error as error:
            raise runtime.DeliveryError("the exported file can't be unpacked") from error
        if not unpacking.eof or len(text) >= MAX_FILE_BYTES:
            raise runtime.DeliveryError("the exported file is not whole, or too long")
        body = unpacking.unused_data.lstrip(b"\0")
        if body and not body.startswith(_GZIP):
            raise runtime.DeliveryError("the exported file can't be unpacked")
    return text or body
