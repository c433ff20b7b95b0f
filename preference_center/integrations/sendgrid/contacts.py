"""SendGrid's marketing contacts: who is there, and their standing links.

https://www.twilio.com/docs/sendgrid/api-reference/contacts/search-contacts
https://www.twilio.com/docs/sendgrid/api-reference/contacts/add-or-update-a-contact
A search answers with 50 contacts at most and how many there are in all. So we ask for spans
of time in which contacts were changed, and halve those that hold more; a single second that
does (an import) is parted by the contacts' ids, which are UUIDs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import Field, TypeAdapter

from preference_center.domain.sync.contract import (
    ContactPage,
    ContactSnapshot,
    LinkItem,
    PushOutcome,
    PushResult,
)
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.base.http import HttpSession
from preference_center.integrations.base.pydantic_types import LenientModel
from preference_center.integrations.sendgrid.export import (
    Download,
    ExportCursor,
    ExportUnavailable,
    needs_export,
    read_export_page,
    start_export,
)
from preference_center.integrations.sendgrid.models import (
    CONTACTS_PATH,
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


class _SearchResponse(LenientModel):
    result: Sequence[SendGridContact] = ()
    contact_count: int


class _EmailSearchResponse(LenientModel):
    result: dict[str, dict[str, object]] = Field(default_factory=dict)


class _CustomField(LenientModel):
    id: str = ""
    name: str = ""


class _CustomFields(LenientModel):
    custom_fields: Sequence[_CustomField] = ()


_SEARCH_RESPONSE = TypeAdapter(_SearchResponse)
_EMAIL_SEARCH_RESPONSE = TypeAdapter(_EmailSearchResponse)
_FIELDS = TypeAdapter(_CustomFields)


@dataclass(frozen=True, slots=True)
class _SearchSpan:
    """Contacts changed after `since` and up to `until` (seconds since 1970), with such ids."""

    since: int
    until: int
    id_prefix: str = ""

    def query(self) -> str:
        """As SGQL."""
        text = (
            f"updated_at > TIMESTAMP '{_format_time(self.since)}' "
            f"AND updated_at <= TIMESTAMP '{_format_time(self.until)}'"
        )
        return f"{text} AND contact_id LIKE '{self.id_prefix}%'" if self.id_prefix else text

    def split(self) -> list[_SearchSpan]:
        """The same in smaller spans."""
        if self.until - self.since > 1:
            middle = (self.since + self.until) // 2
            return [_SearchSpan(self.since, middle), _SearchSpan(middle, self.until)]
        return [_SearchSpan(self.since, self.until, self.id_prefix + digit) for digit in _HEX]


@dataclass(frozen=True, slots=True)
class _SearchCursor:
    """Spans still to be searched, the next one last; what comes after `until` is for later."""

    until: int
    spans: tuple[_SearchSpan, ...]

    @classmethod
    def parse(cls, text: str | None, now: datetime) -> _SearchCursor:
        until = int(now.timestamp())
        if text is None:
            return cls(until, (_SearchSpan(0, until),))
        before, spans = json.loads(text)
        if spans:
            return cls(before, tuple(_SearchSpan(*span) for span in spans))
        return cls(until, (_SearchSpan(before - int(OVERLAP.total_seconds()), until),))

    def serialize(self) -> str:
        """As text."""
        spans = [(s.since, s.until, *([s.id_prefix] if s.id_prefix else [])) for s in self.spans]
        return json.dumps((self.until, spans), separators=(",", ":"))


def scan_page(
    session: HttpSession, download: Download, cursor: str | None, now: datetime, field: str | None
) -> ContactPage[ContactSnapshot]:
    """The next contacts that were added or changed; see Scannable. `field` holds links.

    All there are of a large account are exported.
    """
    ticket = ExportCursor.parse(cursor)
    try:
        if ticket:
            return read_export_page(session, download, ticket, now, field)
        if cursor is None and needs_export(session):
            return start_export(session, now)
    except ExportUnavailable as error:
        return _search(session, _SearchCursor(error.until, (_SearchSpan(0, error.until),)), field)
    return _search(session, _SearchCursor.parse(cursor, now), field)


def _search(
    session: HttpSession, cursor: _SearchCursor, field: str | None
) -> ContactPage[ContactSnapshot]:
    spans, rows = list(cursor.spans), []
    for _ in range(SEARCHES_PER_PAGE):
        if not spans:
            break
        span = spans.pop()
        found = session.send("POST", f"{CONTACTS_PATH}/search", body={"query": span.query()}).parse(
            _SEARCH_RESPONSE
        )
        if found.contact_count > len(found.result):
            spans += reversed(span.split())
        else:
            rows += [to_snapshot(contact, field) for contact in found.result if contact.email]
    cursor = _SearchCursor(cursor.until, tuple(spans))
    return ContactPage(tuple(rows), cursor.serialize(), done=not spans)


def write_links(
    session: HttpSession, batch: Sequence[LinkItem], field: str
) -> Mapping[int, PushOutcome]:
    """Write links into the contacts that there are; see Fieldable.

    Adding or updating is one call, so who is no contact is looked up and left out.
    """
    field_id = _find_field_id(session, field)
    there: set[str] = set()
    for start in range(0, len(batch), EMAILS_PER_SEARCH):
        emails = [item.address for item in batch[start : start + EMAILS_PER_SEARCH]]
        answer = session.send(
            "POST",
            f"{CONTACTS_PATH}/search/emails",
            body={"emails": emails},
            allowed_statuses={404},
        )
        if answer.status != 404:  # noqa: PLR2004 - none of them
            looked = answer.parse(_EMAIL_SEARCH_RESPONSE).result
            there |= {email.casefold() for email, found in looked.items() if "contact" in found}
    known = [item for item in batch if item.address.casefold() in there]
    if known:
        contacts = [{"email": i.address, "custom_fields": {field_id: i.link}} for i in known]
        session.send("PUT", CONTACTS_PATH, body={"contacts": contacts})
    written = {item.ref for item in known}
    return {
        item.ref: PushOutcome(PushResult.REFLECTED, "202") if item.ref in written else _ABSENT
        for item in batch
    }


_ABSENT = PushOutcome(PushResult.ABSENT, "no contact")


def _find_field_id(session: HttpSession, name: str) -> str:
    answer = session.send("GET", "/v3/marketing/field_definitions").parse(_FIELDS)
    for field in answer.custom_fields:
        if field.name == name:
            return field.id
    raise DeliveryError(f"there is no custom field {name}: make one, of type Text", permanent=True)


def _format_time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
