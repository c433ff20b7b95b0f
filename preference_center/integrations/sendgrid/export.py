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

from preference_center.domain.sync.contract import Page, Seen
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.base.http import Answer, Session
from preference_center.integrations.base.pydantic_types import Lenient, Moment
from preference_center.integrations.sendgrid.models import CONTACTS, Contact, seen

LARGE = 2_000
"""Contacts from which on all of them are exported instead of searched for."""
FILE_SIZE = 5
"""Megabytes, the unit of the API: a file is a page of the listing, so some 10,000 contacts."""
ROWS = 10_000
"""Rows taken at a time of a file that has more."""
LONGEST_FILE = 200_000_000
"""Bytes, unpacked."""
AGAIN = timedelta(seconds=30)
PATIENCE = timedelta(hours=6)
"""How long an export may take before another one is asked for."""
ATTEMPTS = 3
"""Exports that may be lost before the contacts are searched for instead."""
LOST = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
"""What a file's host says when the file is not there any more."""
_GZIP = b"\x1f\x8b"

Download = Callable[[str], Answer]
"""Reads a whole URL, without our credentials; answers with a status of `LOST` like a 2xx."""


class _Count(Lenient):
    contact_count: int = 0


class _Begun(Lenient):
    id: str = ""


class _Export(Lenient):
    status: str = ""
    expires_at: Moment = None
    urls: Sequence[str] = ()


_COUNT = TypeAdapter(_Count)
_BEGUN = TypeAdapter(_Begun)
_EXPORT = TypeAdapter(_Export)
_LINE = TypeAdapter(Contact)
_ARRAY = TypeAdapter(list[Contact])


class NoExport(Exception):
    """There will be none: the contacts are to be searched for. `until`: see `Ticket`."""

    def __init__(self, until: int) -> None:
        super().__init__("SendGrid makes no export")
        self.until = until


@dataclass(frozen=True, slots=True)
class Ticket:
    """An export that was begun, and what of it was read. Times are seconds since 1970."""

    export: str
    until: int
    """When the pass began: the export has all contacts that were there then."""
    begun: int
    attempt: int = 1
    file: int = 0
    row: int = 0

    @classmethod
    def read(cls, cursor: str | None) -> Ticket | None:
        """The ticket in a cursor, if it is one."""
        found = json.loads(cursor) if cursor else None
        return cls(**found) if isinstance(found, dict) else None

    def cursor(self) -> str:
        """As text."""
        return json.dumps(asdict(self), separators=(",", ":"))


def is_large(session: Session) -> bool:
    """Whether there are so many contacts that searching for them all is no way."""
    answer = session.send("GET", f"{CONTACTS}/count", allow=LOST)
    return answer.status == HTTPStatus.OK and answer.parse(_COUNT).contact_count > LARGE


def begin(session: Session, now: datetime, ticket: Ticket | None = None) -> Page[Seen]:
    """Ask for an export, in place of `ticket` if one was lost. Raises NoExport."""
    moment = int(now.timestamp())
    attempt = ticket.attempt + 1 if ticket else 1
    until = ticket.until if ticket else moment
    if attempt > ATTEMPTS:
        raise NoExport(until)
    body = {"file_type": "json", "max_file_size": FILE_SIZE, "notifications": {"email": False}}
    answer = session.send("POST", f"{CONTACTS}/exports", body=body, allow=LOST)
    export = answer.parse(_BEGUN).id if answer.status not in LOST else ""
    if not export:
        raise NoExport(until)
    return Page((), Ticket(export, until, moment, attempt).cursor(), done=False, again=AGAIN)


def export_page(
    session: Session, download: Download, ticket: Ticket, now: datetime, field: str | None
) -> Page[Seen]:
    """The next contacts of an export, or none yet. `field` holds links. Raises NoExport.

    One that failed, expired, names no files or is not known any more is asked for again and read
    from its beginning: to see a contact twice does no harm.
    """
    answer = session.send(
        "GET", f"{CONTACTS}/exports/{{id}}", holes={"id": ticket.export}, allow={404}
    )
    export = answer.parse(_EXPORT) if answer.status != HTTPStatus.NOT_FOUND else None
    if export is None or export.status == "failure" or _is_over(export, ticket, now):
        return begin(session, now, ticket)
    if export.status != "ready":
        return Page((), ticket.cursor(), done=False, again=AGAIN)
    if not export.urls:  # begun only where there are many contacts
        return begin(session, now, ticket)
    # Their order is promised nowhere, and their signatures differ each time.
    urls = sorted(export.urls, key=lambda url: urlsplit(url).path)
    if ticket.file >= len(urls):
        return Page((), _finished(ticket), done=True)
    answer = download(urls[ticket.file])
    if answer.status in LOST:
        return begin(session, now, ticket)
    contacts = _contacts(answer.body)
    part = contacts[ticket.row : ticket.row + ROWS]
    rows = tuple(seen(contact, field) for contact in part if contact.email)
    if ticket.row + ROWS < len(contacts):
        following = replace(ticket, row=ticket.row + ROWS)
    else:
        following = replace(ticket, file=ticket.file + 1, row=0)
    if following.file >= len(urls):
        return Page(rows, _finished(ticket), done=True)
    return Page(rows, following.cursor(), done=False)


def _is_over(export: _Export, ticket: Ticket, now: datetime) -> bool:
    """Whether it takes too long, or can't be downloaded any more."""
    if export.status == "ready":
        return export.expires_at is not None and export.expires_at <= now
    return now - datetime.fromtimestamp(ticket.begun, UTC) > PATIENCE


def _finished(ticket: Ticket) -> str:
    """The cursor of a search for what changed since the export was begun."""
    return json.dumps((ticket.until, []), separators=(",", ":"))


def _contacts(body: bytes) -> Sequence[Contact]:
    text = _unpacked(body).strip()
    try:
        if text.startswith(b"["):
            return _ARRAY.validate_json(text)
        return [_LINE.validate_json(line) for line in text.split(b"\n") if line.strip()]
    except ValidationError:
        # Not chained: pydantic's message quotes the line.
        raise DeliveryError("the exported file is not what SendGrid exports as JSON") from None


def _unpacked(body: bytes) -> bytes:
    """All members of a gzip file (RFC 1952, 2.2). Raises DeliveryError if damaged, or too long."""
    text = b""
    while body.startswith(_GZIP):
        unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            text += unpacking.decompress(body, LONGEST_FILE - len(text))
        except zlib.error as error:
            raise DeliveryError("the exported file can't be unpacked") from error
        if not unpacking.eof or len(text) >= LONGEST_FILE:
            raise DeliveryError("the exported file is not whole, or too long")
        body = unpacking.unused_data.lstrip(b"\0")
        if body and not body.startswith(_GZIP):
            raise DeliveryError("the exported file can't be unpacked")
    return text or body
