"""SendGrid's marketing contacts: who is there, and their permanent links.

https://www.twilio.com/docs/sendgrid/api-reference/contacts/search-contacts
https://www.twilio.com/docs/sendgrid/api-reference/contacts/add-or-update-a-contact
A search answers with 50 contacts at most and how many there are in all. So we ask for spans
of time in which contacts were changed, and halve those that hold more; a single second that
does (an import) is parted by the contacts' ids, which are UUIDs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from preference_center.integrations.base import runtime
from preference_center.integrations.sendgrid.export import (
    Download,
    ExportUnavailable,
    needs_export,
    read_export_page,
    start_export,
)
from preference_center.integrations.sendgrid.models import (
    CONTACTS_PATH,
    ExportCursor,
    SearchCursor,
    SearchSpan,
    SendGridContact,
    to_snapshot,
)

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
        answer = session.send(
            "POST",
            f"{CONTACTS_PATH}/search/emails",
            body={"emails": [item.address for item in items]},
            allowed_statuses={HTTPStatus.NOT_FOUND},  # None of them.
        )
        if answer.status != HTTPStatus.NOT_FOUND:
            looked_up = answer.parse_member(dict[str, dict[str, object]], "result", or_empty=True)
            there |= {email.casefold() for email, row in looked_up.items() if "contact" in row}
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
