"""All of SendGrid's marketing contacts, by an export that SendGrid makes in its own time.

https://www.twilio.com/docs/sendgrid/api-reference/contacts/export-contacts
https://www.twilio.com/docs/sendgrid/api-reference/contacts/export-contacts-status
A search shows 50 contacts, so a million take 20,000 searches at least; an export takes as many
requests as it has files. What a file is like is not documented: lines of JSON, gzipped
(github.com/sendgrid/sendgrid-csharp/issues/1024). A JSON array and a file that is not gzipped
are read as well.

The cursor of the listing is the ticket (decision 49).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from preference_center.domain.sync.contract import ContactPage, ContactSnapshot
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.base.http import HttpSession, Response
from preference_center.integrations.base.pydantic_types import IsoDatetime, LenientModel
from preference_center.integrations.sendgrid.models import (
    CONTACTS_PATH,
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
"""What a file's host says when the file is not there any more."""
_GZIP = b"\x1f\x8b"

Download = Callable[[str], Response]
"""Reads a whole URL, without our credentials; answers with a status of `LOST` like a 2xx."""


class _Count(LenientModel):
    contact_count: int = 0


class _ExportCreated(LenientModel):
    id: str = ""


class _Export(LenientModel):
    status: str = ""
    expires_at: IsoDatetime = None
    urls: Sequence[str] = ()


_COUNT = TypeAdapter(_Count)
_EXPORT_CREATED = TypeAdapter(_ExportCreated)
_EXPORT = TypeAdapter(_Export)
_CONTACT_LINE = TypeAdapter(SendGridContact)
_CONTACT_ARRAY = TypeAdapter(list[SendGridContact])


class ExportUnavailable(Exception):
    """There will be none: the contacts are to be searched for. `until`: see `Ticket`."""

    def __init__(self, until: int) -> None:
        super().__init__("SendGrid makes no export")
        self.until = until


@dataclass(frozen=True, slots=True)
class ExportCursor:
    """An export that was begun, and what of it was read. Times are seconds since 1970."""

    export: str
    until: int
    """When the pass began: the export has all contacts that were there then."""
    begun: int
    attempt: int = 1
    file: int = 0
    row: int = 0

    @classmethod
    def parse(cls, text: str | None) -> ExportCursor | None:
        """The ticket in a cursor, if it is one."""
        found = json.loads(text) if text else None
        return cls(**found) if isinstance(found, dict) else None

    def serialize(self) -> str:
        """As text."""
        return json.dumps(asdict(self), separators=(",", ":"))


def needs_export(session: HttpSession) -> bool:
    """Whether there are so many contacts that searching for them all is no way."""
    answer = session.send("GET", f"{CONTACTS_PATH}/count", allowed_statuses=LOST_STATUSES)
    return answer.status == HTTPStatus.OK and answer.parse(_COUNT).contact_count > EXPORT_THRESHOLD


def start_export(
    session: HttpSession, now: datetime, cursor: ExportCursor | None = None
) -> ContactPage[ContactSnapshot]:
    """Ask for an export, in place of `ticket` if one was lost. Raises NoExport."""
    moment = int(now.timestamp())
    attempt = cursor.attempt + 1 if cursor else 1
    until = cursor.until if cursor else moment
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
    export = answer.parse(_EXPORT_CREATED).id if answer.status not in LOST_STATUSES else ""
    if not export:
        raise ExportUnavailable(until)
    return ContactPage(
        (),
        ExportCursor(export, until, moment, attempt).serialize(),
        done=False,
        poll_after=POLL_INTERVAL,
    )


def read_export_page(
    session: HttpSession, download: Download, cursor: ExportCursor, now: datetime, field: str | None
) -> ContactPage[ContactSnapshot]:
    """The next contacts of an export, or none yet. `field` holds links. Raises NoExport.

    One that failed, expired, names no files or is not known any more is asked for again and read
    from its beginning: to see a contact twice does no harm.
    """
    answer = session.send(
        "GET",
        f"{CONTACTS_PATH}/exports/{{id}}",
        path_params={"id": cursor.export},
        allowed_statuses={404},
    )
    export = answer.parse(_EXPORT) if answer.status != HTTPStatus.NOT_FOUND else None
    if export is None or export.status == "failure" or _is_expired(export, cursor, now):
        return start_export(session, now, cursor)
    if export.status != "ready":
        return ContactPage((), cursor.serialize(), done=False, poll_after=POLL_INTERVAL)
    if not export.urls:  # begun only where there are many contacts
        return start_export(session, now, cursor)
    # Their order is promised nowhere, and their signatures differ each time.
    urls = sorted(export.urls, key=lambda url: urlsplit(url).path)
    if cursor.file >= len(urls):
        return ContactPage((), _search_cursor(cursor), done=True)
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
        return ContactPage(rows, _search_cursor(cursor), done=True)
    return ContactPage(rows, following.serialize(), done=False)


def _is_expired(export: _Export, cursor: ExportCursor, now: datetime) -> bool:
    """Whether it takes too long, or can't be downloaded any more."""
    if export.status == "ready":
        return export.expires_at is not None and export.expires_at <= now
    return now - datetime.fromtimestamp(cursor.begun, UTC) > EXPORT_TIMEOUT


def _search_cursor(cursor: ExportCursor) -> str:
    """The cursor of a search for what changed since the export was begun."""
    return json.dumps((cursor.until, []), separators=(",", ":"))


def _parse_contacts(body: bytes) -> Sequence[SendGridContact]:
    text = _gunzip(body).strip()
    try:
        if text.startswith(b"["):
            return _CONTACT_ARRAY.validate_json(text)
        return [_CONTACT_LINE.validate_json(line) for line in text.split(b"\n") if line.strip()]
    except ValidationError:
        # Not chained: pydantic's message quotes the line.
        raise DeliveryError("the exported file is not what SendGrid exports as JSON") from None


def _gunzip(body: bytes) -> bytes:
    """All members of a gzip file (RFC 1952, 2.2). Raises DeliveryError if damaged, or too long."""
    text = b""
    while body.startswith(_GZIP):
        unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            text += unpacking.decompress(body, MAX_FILE_BYTES - len(text))
        except zlib.error as error:
            raise DeliveryError("the exported file can't be unpacked") from error
        if not unpacking.eof or len(text) >= MAX_FILE_BYTES:
            raise DeliveryError("the exported file is not whole, or too long")
        body = unpacking.unused_data.lstrip(b"\0")
        if body and not body.startswith(_GZIP):
            raise DeliveryError("the exported file can't be unpacked")
    return text or body
