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

from preference_center.domain.sync.contract import LinkItem, Outcome, Page, Result, Seen
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.base.http import Session
from preference_center.integrations.base.pydantic_types import Lenient
from preference_center.integrations.sendgrid.export import (
    Download,
    NoExport,
    Ticket,
    begin,
    export_page,
    is_large,
)
from preference_center.integrations.sendgrid.models import CONTACTS, Contact, seen

SHOWN = 50
"""Contacts in one answer."""
SEARCHES_PER_PAGE = 10
OVERLAP = timedelta(minutes=30)
"""How far a later scan looks back: the search's index is a few minutes behind."""
EMAILS_PER_SEARCH = 100
_HEX = "0123456789abcdef"


class _Found(Lenient):
    result: Sequence[Contact] = ()
    contact_count: int


class _Looked(Lenient):
    result: dict[str, dict[str, object]] = Field(default_factory=dict)


class _Field(Lenient):
    id: str = ""
    name: str = ""


class _Fields(Lenient):
    custom_fields: Sequence[_Field] = ()


_FOUND = TypeAdapter(_Found)
_LOOKED = TypeAdapter(_Looked)
_FIELDS = TypeAdapter(_Fields)


@dataclass(frozen=True, slots=True)
class _Span:
    """Contacts changed after `since` and up to `until` (seconds since 1970), with such ids."""

    since: int
    until: int
    ids: str = ""

    def query(self) -> str:
        """As SGQL."""
        text = (
            f"updated_at > TIMESTAMP '{_iso(self.since)}' "
            f"AND updated_at <= TIMESTAMP '{_iso(self.until)}'"
        )
        return f"{text} AND contact_id LIKE '{self.ids}%'" if self.ids else text

    def parts(self) -> list[_Span]:
        """The same in smaller spans."""
        if self.until - self.since > 1:
            middle = (self.since + self.until) // 2
            return [_Span(self.since, middle), _Span(middle, self.until)]
        return [_Span(self.since, self.until, self.ids + digit) for digit in _HEX]


@dataclass(frozen=True, slots=True)
class _Place:
    """Spans still to be searched, the next one last; what comes after `until` is for later."""

    until: int
    spans: tuple[_Span, ...]

    @classmethod
    def read(cls, cursor: str | None, now: datetime) -> _Place:
        until = int(now.timestamp())
        if cursor is None:
            return cls(until, (_Span(0, until),))
        before, spans = json.loads(cursor)
        if spans:
            return cls(before, tuple(_Span(*span) for span in spans))
        return cls(until, (_Span(before - int(OVERLAP.total_seconds()), until),))

    def cursor(self) -> str:
        """As text."""
        spans = [(s.since, s.until, *([s.ids] if s.ids else [])) for s in self.spans]
        return json.dumps((self.until, spans), separators=(",", ":"))


def scan_page(
    session: Session, download: Download, cursor: str | None, now: datetime, field: str | None
) -> Page[Seen]:
    """The next contacts that were added or changed; see Scannable. `field` holds links.

    All there are of a large account are exported.
    """
    ticket = Ticket.read(cursor)
    try:
        if ticket:
            return export_page(session, download, ticket, now, field)
        if cursor is None and is_large(session):
            return begin(session, now)
    except NoExport as error:
        return _search(session, _Place(error.until, (_Span(0, error.until),)), field)
    return _search(session, _Place.read(cursor, now), field)


def _search(session: Session, place: _Place, field: str | None) -> Page[Seen]:
    spans, rows = list(place.spans), []
    for _ in range(SEARCHES_PER_PAGE):
        if not spans:
            break
        span = spans.pop()
        found = session.send("POST", f"{CONTACTS}/search", body={"query": span.query()}).parse(
            _FOUND
        )
        if found.contact_count > len(found.result):
            spans += reversed(span.parts())
        else:
            rows += [seen(contact, field) for contact in found.result if contact.email]
    place = _Place(place.until, tuple(spans))
    return Page(tuple(rows), place.cursor(), done=not spans)


def write_links(session: Session, batch: Sequence[LinkItem], field: str) -> Mapping[int, Outcome]:
    """Write links into the contacts that there are; see Fieldable.

    Adding or updating is one call, so who is no contact is looked up and left out.
    """
    field_id = _field_id(session, field)
    there: set[str] = set()
    for start in range(0, len(batch), EMAILS_PER_SEARCH):
        emails = [item.address for item in batch[start : start + EMAILS_PER_SEARCH]]
        answer = session.send(
            "POST", f"{CONTACTS}/search/emails", body={"emails": emails}, allow={404}
        )
        if answer.status != 404:  # noqa: PLR2004 - none of them
            looked = answer.parse(_LOOKED).result
            there |= {email.casefold() for email, found in looked.items() if "contact" in found}
    known = [item for item in batch if item.address.casefold() in there]
    if known:
        contacts = [{"email": i.address, "custom_fields": {field_id: i.link}} for i in known]
        session.send("PUT", CONTACTS, body={"contacts": contacts})
    written = {item.ref for item in known}
    return {
        item.ref: Outcome(Result.REFLECTED, "202") if item.ref in written else _ABSENT
        for item in batch
    }


_ABSENT = Outcome(Result.ABSENT, "no contact")


def _field_id(session: Session, name: str) -> str:
    answer = session.send("GET", "/v3/marketing/field_definitions").parse(_FIELDS)
    for field in answer.custom_fields:
        if field.name == name:
            return field.id
    raise DeliveryError(f"there is no custom field {name}: make one, of type Text", permanent=True)


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
