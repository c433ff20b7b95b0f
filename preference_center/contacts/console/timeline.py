"""Show everything about one person in words, the newest first, with filters and pages.

The entries are events with what tools answered, deliveries, bounces, data-subject requests, and
looks of the staff.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from flask_babel import gettext as _

from preference_center.catalogue import Catalogue
from preference_center.contacts import words
from preference_center.contacts.rules.statements import (
    EntryKind,
    RequestEntry,
    TimelineKey,
    is_retractable,
)
from preference_center.core.addresses import Address
from preference_center.core.bursts import BurstRecord
from preference_center.core.events import RESERVED_SCOPES, Event, format_receipt_code
from preference_center.core.staff import StaffAccess
from preference_center.destinations.rules.delivery import (
    DeliveryState,
    DeliveryStatus,
    compute_event_delivery,
)
from preference_center.destinations.store.deliveries import (
    AddressTool,
    StoredDelivery,
    find_first_answers,
    list_newest_deliveries,
)
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.infra.hooks import Hook
from preference_center.ledger.bounces import list_bounces
from preference_center.ledger.store.events import list_newest_events
from preference_center.web.console.frame import current_actor
from preference_center.web.console.looks import list_newest_accesses_of


@dataclass(frozen=True, slots=True)
class TimelineFilter:
    """What of it is wanted: of one destination, of one topic, of one day (UTC, without its end)."""

    tool: str = ""
    topic: str = ""
    period: tuple[datetime, datetime] | None = None

    @property
    def is_narrow(self) -> bool:
        """Whether entries are left out that are about no tool and no topic."""
        return bool(self.tool or self.topic)


@dataclass(frozen=True, slots=True)
class ToolLine:
    """How far one tool is with the event of an entry; `kind` is that of a badge."""

    title: str
    kind: str
    text: str
    ack: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the timeline, in words. `event_id` only of an event."""

    key: TimelineKey
    title: str
    origin: str = ""
    notes: Sequence[tuple[str, str]] = ()
    """Pairs of a term and a text: hostile ones, too."""
    tools: Sequence[ToolLine] = ()
    reference: str = ""
    event: Event | None = field(default=None, repr=False)
    is_retracted: bool = False
    can_retract: bool = False
    """Whether who is signed in recorded it just now, and may take it back."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """A page of it; `older` is where the next one begins, None on the last."""

    entries: Sequence[Entry]
    older: TimelineKey | None


@dataclass(frozen=True, slots=True)
class Person:
    """Whose timeline: `address_id` is None where nothing is stored of the address."""

    address: Address = field(repr=False)
    address_id: int | None
    tools: Sequence[AddressTool]
    active_events: frozenset[UUID]
    catalogue: Catalogue
    title_of: Callable[[str], str]


PAGE_SIZE = 50


_SAID_IN_WORDS = frozenset({"via", "method"})


_SMALL_DELAY = timedelta(minutes=1)


@Hook
def list_requests(connection: Connection, address: Address) -> Sequence[RequestEntry]:
    """Every data-subject request about exactly this address (I9), in the order of recording."""
    raise NotImplementedError


@Hook
def find_bursts(connection: Connection, events: Collection[UUID]) -> dict[UUID, BurstRecord]:
    """Those of these events that are part of a burst, with their burst."""
    raise NotImplementedError


def load_timeline(
    connection: Connection, person: Person, before: TimelineKey, wanted: TimelineFilter
) -> Timeline:
    """The page of the timeline that begins before this key."""
    found = [
        *_event_entries(connection, person, before, wanted),
        *_delivery_entries(connection, person, before, wanted),
    ]
    if not wanted.is_narrow:
        found += _look_entries(connection, person, before, wanted)
        found += _request_entries(connection, person, before, wanted)
        found += _bounce_entries(connection, person, before, wanted)
    found.sort(key=lambda entry: entry.key, reverse=True)
    page = found[:PAGE_SIZE]
    return Timeline(page, page[-1].key if len(found) > PAGE_SIZE else None)


def _event_entries(
    connection: Connection, person: Person, before: TimelineKey, wanted: TimelineFilter
) -> list[Entry]:
    if person.address_id is None:
        return []
    tools = [each for each in person.tools if wanted.tool in {"", each.summary.name}]
    events = list_newest_events(
        connection,
        person.address_id,
        before.bound(EntryKind.EVENT),
        scopes=_scopes(wanted, tools),
        period=wanted.period,
        limit=PAGE_SIZE + 1,
    )
    pushed = [event.seq for event, _ in events if event.kind.rules.is_pushed]
    answers = find_first_answers(connection, person.address_id, pushed)
    flags = find_bursts(connection, [event.id for event, _ in events])
    now = services().now()

    def status(event: Event, tool: AddressTool) -> DeliveryStatus:
        return compute_event_delivery(
            event,
            tool.summary,
            tool.sync,
            answers.get((tool.destination_id, event.seq)),
            now,
            is_active=event.id in person.active_events,
        )

    return [
        _event_entry(
            person,
            event,
            [(tool, status(event, tool)) for tool in tools],
            flags.get(event.id),
            is_retracted=retracted,
        )
        for event, retracted in events
    ]


def _scopes(wanted: TimelineFilter, tools: Sequence[AddressTool]) -> Collection[str] | None:
    """The scopes that the filter leaves: its topic, those of its tool, and the wide ones."""
    if wanted.topic:
        return {wanted.topic, *RESERVED_SCOPES}
    if wanted.tool:
        return {topic for tool in tools for topic in tool.summary.topics} | RESERVED_SCOPES
    return None


def _event_entry(
    person: Person,
    event: Event,
    statuses: Sequence[tuple[AddressTool, DeliveryStatus]],
    burst: BurstRecord | None,
    *,
    is_retracted: bool,
) -> Entry:
    return Entry(
        TimelineKey(event.received_at, EntryKind.EVENT, event.seq),
        words.event_title(event, person.catalogue),
        words.event_origin(event, person.title_of),
        [*_times(event), *_evidence(event), *_burst(burst)],
        [
            ToolLine(
                person.title_of(tool.summary.name),
                _badge_kind(status),
                words.delivery_status(status),
                status.ack,
            )
            for tool, status in statuses
            if status.state is not DeliveryState.NOT_APPLICABLE
        ],
        format_receipt_code(event.id),
        event,
        is_retracted,
        is_retractable(event, current_actor(), services().now(), is_retracted=is_retracted),
    )


def _times(event: Event) -> list[tuple[str, str]]:
    """The times that say more than when it was received."""
    times = []
    if abs(event.received_at - event.occurred_at) > _SMALL_DELAY:
        times.append((_("Said on"), words.time(event.occurred_at)))
    if event.recorded_at - event.received_at > _SMALL_DELAY:
        times.append((_("Recorded"), words.time(event.recorded_at)))
    if abs(event.counts_at - event.received_at) > _SMALL_DELAY:
        times.append((_("Counts from"), words.time(event.counts_at)))
    return times


def _evidence(event: Event) -> list[tuple[str, str]]:
    if event.evidence_erased:
        return [(_("Evidence"), _("erased on request, or expired"))]
    said = {event.evidence.get(name) for name in _SAID_IN_WORDS}
    return [
        (words.evidence_name(name), value)
        for name, value in sorted(event.evidence.items())
        if name not in _SAID_IN_WORDS and value not in said
    ]


def _burst(burst: BurstRecord | None) -> list[tuple[str, str]]:
    """That a link scanner may have made it."""
    if burst is None:
        return []
    says = _(
        "one of %(count)s opt-outs of its domain in %(seconds)s s: a program that scans"
        " links may have made it",
        count=burst.events,
        seconds=round((burst.last_at - burst.first_at).total_seconds()),
    )
    return [(_("Burst"), says)]


def _badge_kind(status: DeliveryStatus) -> str:
    if status.is_done:
        return "good"
    return "bad" if status.late else "warn"


def _delivery_entries(
    connection: Connection, person: Person, before: TimelineKey, wanted: TimelineFilter
) -> list[Entry]:
    if person.address_id is None:
        return []
    concerned = [
        each
        for each in person.tools
        if wanted.tool in {"", each.summary.name}
        and (not wanted.topic or wanted.topic in each.summary.topics)
    ]
    names = {each.destination_id: person.title_of(each.summary.name) for each in person.tools}
    deliveries = list_newest_deliveries(
        connection,
        person.address_id,
        before.bound(EntryKind.DELIVERY),
        destinations=[each.destination_id for each in concerned] if wanted.is_narrow else None,
        period=wanted.period,
        limit=PAGE_SIZE + 1,
    )
    removed = _("a destination that was removed")
    return [_delivery_entry(each, names.get(each.destination_id, removed)) for each in deliveries]


def _delivery_entry(delivery: StoredDelivery, tool: str) -> Entry:
    title = _("Pushed to %(tool)s: %(outcome)s", tool=tool, outcome=words.outcome(delivery.outcome))
    notes = [(_("Answer"), delivery.ack)] if delivery.ack else []
    return Entry(TimelineKey(delivery.at, EntryKind.DELIVERY, delivery.id), title, notes=notes)


def _look_entries(
    connection: Connection, person: Person, before: TimelineKey, wanted: TimelineFilter
) -> list[Entry]:
    looks = list_newest_accesses_of(
        connection,
        services().keys,
        person.address,
        before.bound(EntryKind.LOOK),
        period=wanted.period,
        limit=PAGE_SIZE + 1,
    )
    return [_look_entry(number, look) for number, look in looks]


def _look_entry(number: int, look: StaffAccess) -> Entry:
    name = look.actor.partition(":")[2] or look.actor
    return Entry(
        TimelineKey(look.at, EntryKind.LOOK, number),
        _("Looked up by %(name)s", name=name),
        words.access_reasons()[look.reason],
        [(_("Reference"), look.reference)] if look.reference else [],
    )


def _request_entries(
    connection: Connection, person: Person, before: TimelineKey, wanted: TimelineFilter
) -> list[Entry]:
    """Requests, which are few: a person can make three an hour."""
    found = list_requests(connection, person.address)
    entries = [_request_entry(number, each) for number, each in enumerate(found)]
    return [each for each in entries if each.key < before and _is_within(each.key.at, wanted)]


def _request_entry(number: int, request: RequestEntry) -> Entry:
    return Entry(
        TimelineKey(request.received_at, EntryKind.REQUEST, number),
        request.title,
        request.state,
        request.notes,
        reference=request.reference,
    )


def _bounce_entries(
    connection: Connection, person: Person, before: TimelineKey, wanted: TimelineFilter
) -> list[Entry]:
    """Bounces that count but do not suppress yet, which are few and of some days."""
    digest = services().keys.exact_digest(person.address)
    found = list_bounces(connection, [digest], datetime.min.replace(tzinfo=UTC))
    entries = [
        Entry(
            TimelineKey(each.at, EntryKind.BOUNCE, number),
            _("A message could not be delivered for now"),
            notes=[(_("Code"), each.code)],
        )
        for number, each in enumerate(sorted(found.get(digest, ()), key=lambda each: each.id))
    ]
    return [each for each in entries if each.key < before and _is_within(each.key.at, wanted)]


def _is_within(at: datetime, wanted: TimelineFilter) -> bool:
    return wanted.period is None or wanted.period[0] <= at < wanted.period[1]
