"""Build the changes for what a person said to staff, and order the timeline of that person.

People say it by phone, by letter or face to face. The changes are those that senders' systems relay
(`ledger.rules`, `contacts.rules.preferences`): an opt-in lifts only what is older than the person's
own act (I5).

`TimelineKey` is the order of everything about one person on one page, and says where the next page
begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import assert_never
from uuid import UUID, uuid5

from preference_center.catalogue import Catalogue
from preference_center.contacts.rules.preferences import (
    ChosenFrequencies,
    PreferenceChoice,
    PreferenceState,
    PreferenceSubmission,
    build_frequency_change,
    build_preference_change,
    compute_preferences,
)
from preference_center.core.addresses import Address
from preference_center.core.errors import InvalidInput
from preference_center.core.events import Change, Event, EventKind, ScopeFact, ScopeState
from preference_center.ledger.rules import (
    ConsentEvidence,
    ReceivedVia,
    RequestOrigin,
    build_opt_in_change,
    build_opt_out_change,
    contains_address,
    validate_opt_out_scope,
)

SOURCE = "console"
"""The source of events that staff record in the console."""


RETRACTION_PERIOD = timedelta(minutes=30)
"""How long who recorded an entry in the console may retract it: a slip of the pen, noticed in the
call or just after it. Later the person's own newer act counts, or a request for correction."""


MAX_WORDING = 500


_BRAND_PREFIX = "brand:"


class StatementKind(StrEnum):
    """What the person said."""

    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    PAUSE = "pause"
    FREQUENCY = "frequency"
    """How often they want a topic."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a person said, and how. `received_at` has gone through `clamp_to_now` (UTC).

    `scope` is ALL_MARKETING, SHARING, a topic, or `brand:` and a brand: each topic of it that the
    address can receive. `wording` is what they said or agreed to, `language` its BCP 47 tag.
    `frequency` is one that the topic offers.
    """

    id: UUID
    kind: StatementKind
    address: Address
    scope: str
    via: ReceivedVia
    received_at: datetime
    until: datetime | None = None
    wording: str = ""
    language: str = ""
    frequency: str = ""
    note: str = field(default="", repr=False)


def scopes_of(scope: str, address: Address, catalogue: Catalogue) -> list[str]:
    """The scopes of events that this one stands for. Raises UnknownTopic and WrongChannel."""
    if not scope.startswith(_BRAND_PREFIX):
        return [validate_opt_out_scope(address, scope, catalogue)]
    brand = scope.removeprefix(_BRAND_PREFIX)
    topics = catalogue.topics_for_channel(address.channel)
    found = [topic.key for topic in topics if topic.brand == brand]
    if not found:
        raise InvalidInput("this brand sends nothing to such an address")
    return found


def brand_scope(brand: str) -> str:
    """The scope of a statement about every topic of a brand."""
    return f"{_BRAND_PREFIX}{brand}"


def build_statement_changes(
    statement: Statement, origin: RequestOrigin, catalogue: Catalogue, facts: Sequence[ScopeFact]
) -> list[Change]:
    """The changes of a statement; none where such a pause or frequency is in force already.

    The same statement makes changes of the same ids, so it is recorded once. Raises InvalidInput
    for what can't be turned on or paused, and for words that name somebody (I8).
    """
    changes = [
        _build(statement, scope, origin, catalogue, facts)
        for scope in scopes_of(statement.scope, statement.address, catalogue)
    ]
    return [change for change in changes if change]


def _build(
    statement: Statement,
    scope: str,
    origin: RequestOrigin,
    catalogue: Catalogue,
    facts: Sequence[ScopeFact],
) -> Change | None:
    at = statement.received_at
    # All that may differ where a form is sent again: else that would be no event.
    change_id = uuid5(
        statement.id, f"{statement.kind} {scope} {at} {statement.until} {statement.frequency}"
    )
    match statement.kind:
        case StatementKind.OPT_OUT:
            change: Change | None = build_opt_out_change(
                change_id,
                statement.address,
                scope,
                statement.via,
                origin,
                received_at=at,
                occurred_at=at,
            )
        case StatementKind.OPT_IN:
            change = build_opt_in_change(
                change_id, statement.address, scope, _evidence(statement), origin, catalogue
            )
        case StatementKind.PAUSE:
            change = _build_pause(change_id, statement, scope, origin, catalogue, facts)
        case StatementKind.FREQUENCY:
            change = _build_frequency(change_id, statement, scope, origin, catalogue, facts)
        case _:
            assert_never(statement.kind)
    return change and replace(change, evidence={**change.evidence, **_how(statement)})


def _build_pause(
    id: UUID,  # noqa: A002 - as in `Change`
    statement: Statement,
    scope: str,
    origin: RequestOrigin,
    catalogue: Catalogue,
    facts: Sequence[ScopeFact],
) -> Change | None:
    choice = PreferenceChoice(PreferenceState.PAUSED, statement.until)
    submission = PreferenceSubmission(
        statement.address, {scope: choice}, statement.received_at, _evidence(statement)
    )
    current = compute_preferences(catalogue, statement.address, facts, origin.now)
    return build_preference_change(id, submission, scope, origin, catalogue, current)


def _build_frequency(
    id: UUID,  # noqa: A002 - as in `Change`
    statement: Statement,
    scope: str,
    origin: RequestOrigin,
    catalogue: Catalogue,
    facts: Sequence[ScopeFact],
) -> Change | None:
    _require_wording(statement)
    at = statement.received_at
    chosen = ChosenFrequencies(statement.address, {scope: statement.frequency}, at, at, {})
    return build_frequency_change(id, chosen, scope, origin, catalogue, facts)


def _require_wording(statement: Statement) -> None:
    if not statement.wording:
        raise InvalidInput("write what the person said or agreed to")


def _evidence(statement: Statement) -> ConsentEvidence:
    _require_wording(statement)
    return ConsentEvidence(
        statement.via.value, statement.wording, statement.language, statement.received_at
    )


def _how(statement: Statement) -> Mapping[str, str]:
    """The way it was said, and the note. Raises InvalidInput for words that name somebody."""
    words = f"{statement.wording}\n{statement.note}"
    if "@" in words or contains_address(words, statement.address):
        raise InvalidInput("write no address into what the person said, nor into the note")
    if max(len(statement.wording), len(statement.note)) > MAX_WORDING:
        raise InvalidInput(f"write at most {MAX_WORDING} characters")
    how = {"via": statement.via.value}
    if statement.wording:
        how |= {"wording": statement.wording, "language": statement.language}
    return how | ({"note": statement.note} if statement.note else {})


def facts_after(facts: Sequence[ScopeFact], changes: Sequence[Change]) -> list[ScopeFact]:
    """What `facts` of the address and its mailbox become when these changes are recorded."""
    new = [ScopeFact(each.scope, exact=True, state=_state(each)) for each in changes]
    return [*facts, *new]


def is_retractable(event: Event, actor: str, now: datetime, *, is_retracted: bool) -> bool:
    """Whether this actor may still retract an event that they recorded in the console."""
    return (
        event.source == SOURCE
        and event.actor == actor
        and event.kind
        in {EventKind.OPTED_OUT, EventKind.OPTED_IN, EventKind.PAUSED, EventKind.FREQUENCY_CHOSEN}
        and not is_retracted
        and now - event.recorded_at <= RETRACTION_PERIOD
    )


def _state(change: Change) -> ScopeState:
    event = Event(
        id=change.id,
        seq=0,
        kind=change.kind,
        address_id=0,
        scope=change.scope,
        occurred_at=change.occurred_at,
        received_at=change.received_at,
        recorded_at=change.received_at,
        counts_at=change.counts_at,
        source=change.source,
        actor=change.actor,
        evidence=change.evidence,
        own_act=change.own_act,
        until=change.until,
        frequency=change.frequency,
    )
    return ScopeState().merge(event)


_MAX_ID = 2**63 - 1


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


_MICROSECOND = timedelta(microseconds=1)


class EntryKind(IntEnum):
    """What an entry is; of one instant, the greater is the newer."""

    REQUEST = 0
    BOUNCE = 1
    LOOK = 2
    EVENT = 3
    DELIVERY = 4


@dataclass(frozen=True, slots=True, order=True)
class TimelineKey:
    """The place of an entry: its time (UTC), its kind, and its number among those of its kind."""

    at: datetime
    kind: EntryKind
    number: int

    def bound(self, kind: EntryKind) -> tuple[datetime, int]:
        """The time and number that entries of this kind must be less than, to be older."""
        if kind == self.kind:
            return self.at, self.number
        return self.at, _MAX_ID if kind < self.kind else -1

    def to_text(self) -> str:
        """For a URL; nothing personal."""
        return f"{(self.at - _EPOCH) // _MICROSECOND}-{self.kind:d}-{self.number}"


@dataclass(frozen=True, slots=True)
class RequestEntry:
    """A data-subject request in words, in the language of the page."""

    received_at: datetime
    title: str
    state: str
    notes: Sequence[tuple[str, str]]
    """Pairs of a term and a text."""
    reference: str


NEWEST = TimelineKey(datetime(9999, 1, 1, tzinfo=UTC), EntryKind.DELIVERY, _MAX_ID)
"""Newer than every entry."""


def parse_timeline_key(text: str) -> TimelineKey:
    """The key of `to_text`; NEWEST for an empty text. Raises InvalidInput for another one."""
    if not text:
        return NEWEST
    try:
        microseconds, kind, number = (int(part) for part in text.split("-"))
        key = TimelineKey(_EPOCH + microseconds * _MICROSECOND, EntryKind(kind), number)
    except (ValueError, OverflowError):
        raise InvalidInput("this is no place in a timeline: open the person's page again") from None
    if not 0 <= key.number <= _MAX_ID:
        raise InvalidInput("this is no place in a timeline: open the person's page again")
    return key
