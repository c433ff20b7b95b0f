"""This module finds, lists, changes and erases SendGrid's marketing contacts.

Searches tell who is there, and contacts hold permanent links:
https://www.twilio.com/docs/sendgrid/api-reference/contacts/search-contacts
https://www.twilio.com/docs/sendgrid/api-reference/contacts/add-or-update-a-contact
A search answers with 50 contacts at most and how many there are in all. So we ask for spans
of time in which contacts were changed, and halve those that hold more; a single second that
does (an import) is parted by the contacts' ids, which are UUIDs.

An export lists all contacts, and SendGrid makes it in its own time:
https://www.twilio.com/docs/sendgrid/api-reference/contacts/export-contacts
https://www.twilio.com/docs/sendgrid/api-reference/contacts/export-contacts-status
A million contacts take 20,000 searches at least; an export takes as many requests as it has
files. What a file is like is not documented: lines of JSON, gzipped
(github.com/sendgrid/sendgrid-csharp/issues/1024). A JSON array and a file that is not gzipped
are read as well. The cursor of the listing holds the export's id (decision 49).

A job erases people, and reports nothing:
https://www.twilio.com/docs/sendgrid/api-reference/recipients-data-erasure-api/erase-recipients-email-data
The pages name neither how long a job takes, nor a call that tells, nor whether suppressions are
among what it deletes. So the groups are written again after DURATION.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit

from pydantic import Field, TypeAdapter, ValidationError

from preference_center.integrations.base import runtime

CONTACTS_PATH = "/v3/marketing/contacts"


class SendGridContact(runtime.LenientModel):
    """One contact."""

    email: str = ""
    """Missing where a contact is known by its phone number, or by an id of the company's."""
    custom_fields: dict[str, object] = Field(default_factory=dict)


def to_snapshot(contact: SendGridContact, field: str | None) -> runtime.ContactSnapshot:
    """The contact as a listing shows it; its link is in the custom field `field`."""
    link = None if field is None else str(contact.custom_fields.get(field) or "")
    return runtime.ContactSnapshot(contact.email, link=link)


class SearchSpan(NamedTuple):
    """Contacts changed after `since` and up to `until` (seconds since 1970), with such ids."""

    since: int
    until: int
    id_prefix: str = ""


@dataclass(frozen=True, slots=True)
class SearchCursor:
    """Spans still to be searched, the next one last; what comes after `until` is for later."""

    until: int
    spans: tuple[SearchSpan, ...] = ()


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


DURATION = timedelta(days=2)
"""After which a job is taken to be done."""


def start_job(session: runtime.Session, items: runtime.EraseItems) -> runtime.Outcomes:
    """Begin to erase these people, at most 5,000; each outcome has the id of the job."""
    body = {"email_addresses": [item.address for item in items]}
    answer = session.send("POST", "/v3/recipients/erasejob", body=body)
    job = answer.parse_member(str, "job_id")
    waiting = replace(runtime.retry_later(answer.status, DURATION), job=job)
    return {item.ref: waiting for item in items}


def has_contact(session: runtime.Session, address: str) -> bool:
    """Whether a marketing contact has this address; False for a key that may not look."""
    missing = {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN}
    return bool(_find_contacts(session, [address], missing))


def _find_contacts(
    session: runtime.Session, addresses: Sequence[str], missing: Collection[HTTPStatus]
) -> set[str]:
    """Those of at most 100 addresses that contacts have, casefolded; none for `missing`."""
    route, body = f"{CONTACTS_PATH}/search/emails", {"emails": addresses}
    answer = session.send("POST", route, body=body, allowed_statuses=missing)
    if answer.status in missing:
        return set()
    found = answer.parse_member(dict[str, dict[str, object]], "result", or_empty=True)
    return {email.casefold() for email, row in found.items() if "contact" in row}


def suppression_changes(
    items: runtime.EraseItems, groups: Collection[str]
) -> list[list[runtime.TargetChange]]:
    """For each group, the changes that turn it off for these people."""
    return [
        [runtime.TargetChange(item.ref, item.address, off=frozenset({group})) for item in items]
        for group in sorted(groups)
    ]


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
    found = session.find(
        "GET", f"{CONTACTS_PATH}/exports/{{id}}", path_params={"id": cursor.export}
    )
    export = found.parse(_Export) if found else None
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


MAX_SEARCH_RESULTS = 50
"""Contacts in one answer."""


SEARCHES_PER_PAGE = 10


OVERLAP = timedelta(minutes=30)
"""How far a later scan looks back: the search's index is a few minutes behind."""


EMAILS_PER_SEARCH = 100


_HEX = "0123456789abcdef"


class _SearchResponse(runtime.LenientModel):
    result: Sequence[SendGridContact] = ()
    contact_count: int


class _CustomField(runtime.LenientModel):
    id: str = ""
    name: str = ""


def scan_page(
    session: runtime.Session,
    download: Download,
    cursor: str | None,
    now: datetime,
    field: str | None,
) -> runtime.SnapshotPage:
    """The next contacts that were added or changed; see SupportsScan. `field` holds links.

    All there are of a large account are exported.
    """
    export = runtime.decode_cursor(ExportCursor, cursor)
    try:
        if export:
            return read_export_page(session, download, export, now, field)
        if cursor is None and needs_export(session):
            return start_export(session, now)
    except ExportUnavailable as error:
        return _search(session, SearchCursor(error.until, (SearchSpan(0, error.until),)), field)
    return _search(session, _next_search(runtime.decode_cursor(SearchCursor, cursor), now), field)


def _next_search(cursor: SearchCursor | None, now: datetime) -> SearchCursor:
    """The rest of a pass, or the next one."""
    if cursor and cursor.spans:
        return cursor
    until = int(now.timestamp())
    since = cursor.until - int(OVERLAP.total_seconds()) if cursor else 0
    return SearchCursor(until, (SearchSpan(since, until),))


def _search(
    session: runtime.Session, cursor: SearchCursor, field: str | None
) -> runtime.SnapshotPage:
    spans, rows = list(cursor.spans), []
    for _ in range(SEARCHES_PER_PAGE):
        if not spans:
            break
        span = spans.pop()
        body = {"query": _to_query(span)}
        found = session.send("POST", f"{CONTACTS_PATH}/search", body=body).parse(_SearchResponse)
        if found.contact_count > len(found.result):
            spans += reversed(_split(span))
        else:
            rows += [to_snapshot(contact, field) for contact in found.result if contact.email]
    following = runtime.encode_cursor(SearchCursor(cursor.until, tuple(spans)))
    return runtime.ContactPage(tuple(rows), following, done=not spans)


def _to_query(span: SearchSpan) -> str:
    """A span as SGQL."""
    text = (
        f"updated_at > TIMESTAMP '{_format_time(span.since)}' "
        f"AND updated_at <= TIMESTAMP '{_format_time(span.until)}'"
    )
    return f"{text} AND contact_id LIKE '{span.id_prefix}%'" if span.id_prefix else text


def _split(span: SearchSpan) -> list[SearchSpan]:
    """The same in smaller spans."""
    if span.until - span.since > 1:
        middle = (span.since + span.until) // 2
        return [SearchSpan(span.since, middle), SearchSpan(middle, span.until)]
    return [span._replace(id_prefix=span.id_prefix + digit) for digit in _HEX]


def write_field(
    session: runtime.Session, field: str, batch: runtime.FieldItems
) -> runtime.Outcomes:
    """Write values into a field of the contacts that there are; see SupportsContactFields.

    Adding or updating is one call, so who is no contact is looked up and left out.
    """
    field_id = _find_field_id(session, field)
    there: set[str] = set()
    for items in runtime.chunked(batch, EMAILS_PER_SEARCH):
        addresses = [item.address for item in items]
        there |= _find_contacts(session, addresses, {HTTPStatus.NOT_FOUND})
    known = [item for item in batch if item.address.casefold() in there]
    if known:
        contacts = [{"email": i.address, "custom_fields": {field_id: i.value}} for i in known]
        session.send("PUT", CONTACTS_PATH, body={"contacts": contacts})
    written = {item.ref for item in known}
    return {
        item.ref: runtime.reflected("202") if item.ref in written else runtime.absent("no contact")
        for item in batch
    }


def _find_field_id(session: runtime.Session, name: str) -> str:
    answer = session.send("GET", "/v3/marketing/field_definitions")
    for field in answer.parse_member(list[_CustomField], "custom_fields", or_empty=True):
        if field.name == name:
            return field.id
    raise runtime.DeliveryError(
        f"there is no custom field {name}: make one, of type Text", permanent=True
    )


def _format_time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
