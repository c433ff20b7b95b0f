"""Build the changes that correct an address: what the old one said holds for the new one too.

Copies keep their own times, so it makes no difference whether the person acted before or after
the correction: a newer "yes" of the new address still wins, and an older one does not (I5). What
belongs to the mailbox and not to the person, such as a bounce, is not copied.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from preference_center.contacts.rules.account import build_closure_changes
from preference_center.core.addresses import Address, HashedAddress
from preference_center.core.errors import InvalidInput
from preference_center.core.events import (
    ALL_MARKETING,
    CONSENT_KINDS,
    EVERYTHING,
    MOVE_SOURCE,
    OBJECTION_KINDS,
    RESERVED_SCOPES,
    UNDELIVERABLE,
    Change,
    Event,
    EventKind,
    ScopeFact,
    Timestamped,
    counts_at,
)
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.rules.requests import Extent

UNDO_PERIOD = timedelta(days=7)
"""How long anyone who has the old mailbox may undo it."""

_STOPS = {EventKind.DEACTIVATED, EventKind.ERASED, EventKind.MOVED}
"""What reaches other forms of the mailbox as an opt-out of all marketing."""


def check_move(old: Address, new: Address) -> None:
    """Raise InvalidInput unless `new` can be the correction of `old`."""
    if old.channel is not new.channel:
        raise InvalidInput(
            f"an address of the channel {old.channel} is corrected to another of the same channel"
        )
    if old.exact == new.exact:
        raise InvalidInput("the new address is the same as the old one")


def build_move_changes(
    move_id: UUID,
    old: Address,
    new: Address,
    events: Iterable[Event],
    facts: Sequence[ScopeFact],
    known: Collection[UUID],
    origin: RequestOrigin,
    *,
    erased_at: datetime | None,
) -> list[Change]:
    """What the ledger must record for the move: `moved` for the old address, copies for the new.

    `events` are those of exactly the old address, less the retracted ones. `facts` are those of
    every form of its mailbox: an opt-out or a pause of another form has covered the old address
    (I9), so it covers the new one. `known` are the ids of all events of both addresses. `erased_at`
    is up to when the choices of the old one were erased before its person came back, if they were.
    The ids of the changes depend on the move and the copied event alone, so a repeat records
    nothing twice.
    """
    copies = [
        _copy(move_id, event, kind, new, origin)
        for event in _remembered([*events], erased_at)
        if (kind := _copied_kind(event)) is not None
    ]
    others = _copy_facts(move_id, facts, known, new, origin)
    return [_moved(move_id, old, origin), *copies, *others]


def _remembered(events: list[Event], erased_at: datetime | None) -> list[Event]:
    """Without the choices that were erased before the person came back (I6).

    An opt-in is a consent, too, so it goes; then what it lifted of its topic has to go with it.
    """
    if erased_at is None:
        return events
    lifted_at: dict[str, datetime] = {}
    kept = []
    for event in sorted(events, key=lambda each: each.counts_at, reverse=True):
        if _is_choice(event) and event.counts_at <= erased_at:
            if event.kind is EventKind.OPTED_IN:
                lifted_at.setdefault(event.scope, event.counts_at)
        elif event.scope not in lifted_at or event.counts_at >= lifted_at[event.scope]:
            kept.append(event)
    return kept


def _is_choice(event: Event) -> bool:
    """Whether it is a consent to a topic, or how often the person wants it."""
    kinds = {*CONSENT_KINDS, EventKind.FREQUENCY_CHOSEN}
    return event.kind in kinds and event.scope not in RESERVED_SCOPES


def _copied_kind(event: Event) -> EventKind | None:
    """The kind that the event is copied as; None if it stays with the old address.

    An erasure whose person came back leaves all marketing off, and nothing else: the new address
    was never erased.
    """
    if not event.kind.rules.is_copied or event.scope == UNDELIVERABLE:
        return None
    if event.kind is EventKind.ERASED:
        return None if event.scope == EVERYTHING else EventKind.OPTED_OUT
    return event.kind


def _copy(
    move_id: UUID, event: Event, kind: EventKind, new: Address, origin: RequestOrigin
) -> Change:
    occurred_at, received_at = event.occurred_at, event.received_at
    if counts_at(kind, occurred_at, received_at) != event.counts_at:  # it was repeated since
        occurred_at = received_at = event.counts_at
    return Change(
        id=uuid5(move_id, str(event.id)),
        kind=kind,
        address=new,
        scope=event.scope,
        occurred_at=occurred_at,
        received_at=received_at,
        source=MOVE_SOURCE,
        actor=origin.actor,
        evidence={
            **event.evidence,
            "move": str(move_id),
            "moved_event": str(event.id),
            "moved_source": event.source,
        },
        until=event.until,
        frequency=event.frequency,
    )


def _copy_facts(
    move_id: UUID,
    facts: Iterable[ScopeFact],
    known: Collection[UUID],
    new: Address,
    origin: RequestOrigin,
) -> Iterator[Change]:
    """The opt-outs and pauses that are no event of exactly the old address.

    They are of other forms, or came by mail while the address was not known. The evidence names the
    move only: whose they were is not the new address's to know.
    """
    for fact in facts:
        for at, kind, scope, until in _opt_outs_of(fact):
            if at.event not in known:
                yield Change(
                    id=uuid5(move_id, f"{at.event}/{kind}"),
                    kind=kind,
                    address=new,
                    scope=scope,
                    occurred_at=at.at,
                    received_at=at.at,
                    source=MOVE_SOURCE,
                    actor=origin.actor,
                    evidence={"move": str(move_id)},
                    until=until,
                )


def _opt_outs_of(fact: ScopeFact) -> Iterator[tuple[Timestamped, EventKind, str, datetime | None]]:
    """What the fact denies: when, as which kind, for which scope, and the end of a pause.

    A restriction of another form stays there: it is ended there.
    """
    state = fact.state
    if state.opt_out and state.reason in OBJECTION_KINDS:
        yield state.opt_out, state.reason, fact.scope, None
    if state.opt_out and state.reason in _STOPS and not fact.exact:
        yield state.opt_out, EventKind.OPTED_OUT, ALL_MARKETING, None
    if state.pause and fact.scope != UNDELIVERABLE:
        yield state.pause, EventKind.PAUSED, fact.scope, state.pause_until


def closings_by_link(
    new_address_id: int, moved_at: datetime, events: Iterable[Event]
) -> list[UUID]:
    """The events that closed the account of the new address since the move linked it.

    The account is that of the old address: once the link is gone, the new one has none, and its
    service mail flows again (I4). That marketing is off stays.
    """
    return [
        event.id
        for event in events
        if event.address_id == new_address_id
        and event.kind is EventKind.DEACTIVATED
        and event.scope == EVERYTHING
        and event.recorded_at >= moved_at
    ]


def _moved(move_id: UUID, old: Address, origin: RequestOrigin) -> Change:
    return Change(
        id=uuid5(move_id, EventKind.MOVED),
        kind=EventKind.MOVED,
        address=old,
        scope=ALL_MARKETING,
        occurred_at=origin.now,
        received_at=origin.now,
        source=MOVE_SOURCE,
        actor=origin.actor,
        evidence={"move": str(move_id)},
    )


def build_erasure_changes(
    event_ids: tuple[UUID, UUID],
    address: Address | HashedAddress,
    extent: Extent,
    origin: RequestOrigin,
    received_at: datetime,
) -> Sequence[Change]:
    """The suppressions that an erasure leaves: of all marketing, and of a closed account's all."""
    changes = build_closure_changes(event_ids, address, origin, received_at, kind=EventKind.ERASED)
    return changes if extent.rules.of_account else changes[1:]
