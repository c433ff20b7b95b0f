"""Show the page of one person: may marketing be sent, the account's state, and the timeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import abort, current_app, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.catalogue import Catalogue, MessageClass, MessageType
from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.contacts import words
from preference_center.contacts.console.find import find_contact
from preference_center.contacts.console.timeline import (
    Person,
    Timeline,
    TimelineFilter,
    load_timeline,
)
from preference_center.contacts.rules.contact import Contact, ContactRef
from preference_center.contacts.rules.statements import TimelineKey, parse_timeline_key
from preference_center.contacts.store import SubjectAddress, list_addresses
from preference_center.contacts.words import tool_titles
from preference_center.core.addresses import Address, mask_address
from preference_center.core.errors import InvalidInput
from preference_center.core.events import SHARING
from preference_center.decisions.rules import Decision, decide, find_sharing_denial
from preference_center.destinations.rules.delivery import active_suppressions
from preference_center.destinations.store.deliveries import list_tools_of
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.store.events import load_events_by_id
from preference_center.ledger.store.lookup import ScopeFacts, load_facts
from preference_center.web.console.frame import render_page
from preference_center.web.console.own_looks import open_look
from preference_center.web.languages import page_language

_SERVICE = MessageType("service", MessageClass.SERVICE)


@dataclass(frozen=True, slots=True)
class TopicLine:
    """Whether messages of one topic may be sent, and why."""

    key: str
    brand: str
    title: str
    is_allowed: bool
    why: str


@dataclass(frozen=True, slots=True)
class PersonPage:
    """All that the page shows."""

    stored: SubjectAddress | None
    contact: Contact | None
    topics: Sequence[TopicLine]
    service: Decision
    sharing: str
    others: Sequence[str]
    """The person's other addresses, masked, in the order of `list_other_addresses`."""
    tools: Sequence[tuple[str, str]]
    timeline: Timeline
    wanted: TimelineFilter

    @property
    def external_ids(self) -> Sequence[str]:
        """The company's own ids of this person."""
        return sorted(self.contact.external_ids) if self.contact else ()

    @property
    def allowed(self) -> int:
        """How many topics may be sent."""
        return sum(each.is_allowed for each in self.topics)


def person(access_id: UUID) -> ResponseReturnValue:
    """The page of the person whom a recorded look is about."""
    look = open_look(access_id)
    try:
        before = parse_timeline_key(request.args.get("before", ""))
        day = parse_day(request.args.get("day", ""))
        period = period_of(day) if day else None
    except (InvalidInput, OverflowError):  # the latter: the last day that there is
        abort(404)
    wanted = TimelineFilter(request.args.get("tool", ""), request.args.get("topic", ""), period)
    page = run_in_transaction(lambda c: _load(c, look.address, before, wanted))
    return render_page(
        "contacts/person",
        look=look.access,
        address=look.address,
        page=page,
        day=day,
        can_open_requests="console.open_request" in current_app.view_functions,
        done=done_text(request.args.get("done", "")),
    )


def done_text(code: str) -> str:
    """What was done just before, by the code in the address of the page."""
    texts = {
        "recorded": _(
            "It is recorded. The new entry is the first of the timeline, or one of them."
        ),
        "unchanged": _("This is recorded already: nothing was added."),
        "undone": _("The entry is retracted. Everything else stands."),
        "sent": _("A link is on its way to this address."),
    }
    return str(texts.get(code, ""))


def parse_day(text: str) -> date | None:
    """A day as a form sends it; None for none. Raises InvalidInput."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidInput("a day is written like 2026-11-24") from None


def period_of(day: date) -> tuple[datetime, datetime]:
    """When this day began and ended in TIME_ZONE."""
    zone = ZoneInfo(services().settings.time_zone)
    return (
        datetime.combine(day, time(), zone),
        datetime.combine(day + timedelta(days=1), time(), zone),
    )


def _load(
    connection: Connection, address: Address, before: TimelineKey, wanted: TimelineFilter
) -> PersonPage:
    catalogue = current_catalogue_or_empty()
    facts = load_facts([address], connection)[0]
    stored = find_stored(connection, address)
    contact = find_contact(connection, ContactRef(address=address))
    loaded = load_person(connection, address, stored, facts, catalogue)
    now = services().now()
    sharing = find_sharing_denial(facts, now)
    others = contact.addresses - {address} if contact else frozenset()
    return PersonPage(
        stored,
        contact,
        _topic_lines(connection, loaded, facts),
        decide(_SERVICE, None, facts, now),
        _why(connection, loaded, [sharing])[0] if sharing else "",
        [
            mask_address(each)
            for each in sorted(others, key=lambda each: (each.channel, each.exact))
        ],
        [(each.summary.name, loaded.title_of(each.summary.name)) for each in loaded.tools],
        load_timeline(connection, loaded, before, wanted),
        wanted,
    )


def find_stored(connection: Connection, address: Address) -> SubjectAddress | None:
    """What is stored of exactly this address; None if nothing is (I9)."""
    keys = services().keys
    found = list_addresses(connection, keys, [keys.exact_digest(address)], [])
    return next((each for each in found if each.channel == address.channel), None)


def load_person(
    connection: Connection,
    address: Address,
    stored: SubjectAddress | None,
    facts: ScopeFacts,
    catalogue: Catalogue,
) -> Person:
    """Whose timeline is read."""
    topics = {SHARING, *(topic.key for topic in catalogue.topics_for_channel(address.channel))}
    address_id = stored.id if stored else None
    return Person(
        address,
        address_id,
        list_tools_of(connection, address_id, topics) if address_id is not None else (),
        frozenset(each.event_id for each in active_suppressions(facts, services().now())),
        catalogue,
        tool_titles(catalogue),
    )


def _topic_lines(connection: Connection, person: Person, facts: ScopeFacts) -> list[TopicLine]:
    catalogue, language, now = person.catalogue, page_language(), services().now()
    topics = catalogue.topics_for_channel(person.address.channel)
    decisions = [
        decide(MessageType(topic.key, MessageClass.MARKETING, topic.key), topic, facts, now)
        for topic in topics
    ]
    return [
        TopicLine(
            topic.key,
            catalogue.localize(catalogue.brands[topic.brand].name, language),
            catalogue.localize(topic.title, language),
            decision.allow,
            why,
        )
        for topic, decision, why in zip(
            topics, decisions, _why(connection, person, decisions), strict=True
        )
    ]


def _why(connection: Connection, person: Person, decisions: Sequence[Decision]) -> list[str]:
    """The rule and the event of each decision, in words."""
    ids = {each.event for each in decisions if each.event}
    events = {
        event_id: event
        for event_id, event in load_events_by_id(connection, ids).items()
        if event.address_id == person.address_id
    }
    return [
        words.decision(each, events.get(each.event) if each.event else None, person.title_of)
        for each in decisions
    ]
