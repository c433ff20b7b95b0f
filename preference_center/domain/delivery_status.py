"""Where an opt-out is: which "no" stands, and how far each connected tool is with it.

These rules are for showing to the person and to support; they decide nothing. Where what
we know leaves a doubt, they say "not yet".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from preference_center.domain.deadlines import WINDOW
from preference_center.domain.decisions import ScopeFact, find_denial
from preference_center.domain.events import (
    ALL_MARKETING,
    RESERVED_SCOPES,
    UNDELIVERABLE,
    EventKind,
    ScopeState,
    Timestamped,
)


@dataclass(frozen=True, slots=True)
class ActiveSuppression:
    """One "no" that stands for one address. `since` is when it counts from (UTC)."""

    scope: str
    kind: EventKind
    event_id: UUID
    since: datetime
    until: datetime | None = None
    """The end of a pause."""
    exempt_topics: tuple[str, ...] = ()
    """Topics that the person has turned on again since."""


class ConnectionStatus(StrEnum):
    """Whether a destination is being told things now."""

    OPEN = "open"
    UNREACHABLE = "unreachable"
    """The tool turns us away or does not answer; we knock again and again."""
    PAUSED = "paused"
    """Stopped by us, or by the tool itself."""
    OBSERVED = "observed"
    """Being set up: nothing is written there yet."""


@dataclass(frozen=True, slots=True)
class DestinationSummary:
    """A destination as far as one address is concerned.

    `sends` are the topics of the address's channel that it may mail. `readable` is false
    once only a digest of the address is left, which can't be told to anybody.
    """

    name: str
    topics: frozenset[str]
    connection: ConnectionStatus
    address_readable: bool = True


@dataclass(frozen=True, slots=True)
class SyncSummary:
    """The sync state of one address there: what waits, and what was said last."""

    due_at: datetime | None
    next_at: datetime | None
    last_outcome: str | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery: what came of it, when, and the tool's own acknowledgement."""

    outcome: str
    at: datetime
    ack: str = ""


class DeliveryState(StrEnum):
    """How far a tool is."""

    CONFIRMED = "confirmed"
    """It has confirmed."""
    ABSENT = "absent"
    """It does not know the address, so it can't write to it."""
    PENDING = "pending"
    BLOCKED = "blocked"
    """For a reason that waiting alone does not mend: see `Hurdle`."""
    NOT_APPLICABLE = "not_applicable"
    """It sends nothing of what was turned off."""


class Blocker(StrEnum):
    """What is in the way."""

    REFUSED = "refused"
    """The tool will not take this address; we keep trying."""
    PAUSED = "paused"
    OBSERVED = "observed"
    UNREACHABLE = "unreachable"
    PAUSE_UNSUPPORTED = "pause_unsupported"
    """It could not end a pause by itself or by us, so none is set there (I10)."""
    ADDRESS_UNREADABLE = "address_unreadable"
    """Only a digest of the address is left (I6)."""


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """How far one tool is. `at` is when it answered, `due_at` the deadline (both UTC)."""

    state: DeliveryState
    blocker: Blocker | None = None
    confirmed_at: datetime | None = None
    ack: str = ""
    due_at: datetime | None = None
    late: bool = False


_BLOCKERS = {
    ConnectionStatus.PAUSED: Blocker.PAUSED,
    ConnectionStatus.OBSERVED: Blocker.OBSERVED,
    ConnectionStatus.UNREACHABLE: Blocker.UNREACHABLE,
}
_FINAL_STATES = {"reflected": DeliveryState.CONFIRMED, "absent": DeliveryState.ABSENT}


def active_suppressions(facts: Sequence[ScopeFact], now: datetime) -> list[ActiveSuppression]:
    """Every "no" that stands for exactly one address, given its exact facts (I9).

    The newest comes first. An opt-out that a wider one covers too is still one of them: it
    stays when the wider one is lifted (I5).
    """
    states = _merge_by_scope(fact for fact in facts if fact.exact)
    found = []
    for scope, state in states.items():
        lifts = [state.lift]
        if scope == UNDELIVERABLE:  # a lift of all marketing ends it; never a topic's own (I5)
            lifts.append(states[ALL_MARKETING].lift)
        out, pause, until = state.opt_out, state.pause, state.pause_until
        if out and state.reason and _is_active(out, lifts):
            again = _resubscribed_topics(scope, out, states)
            found.append(
                ActiveSuppression(scope, state.reason, out.event, out.at, exempt_topics=again)
            )
        elif pause and until and until > now and _is_active(pause, lifts):
            again = _resubscribed_topics(scope, pause, states)
            found.append(
                ActiveSuppression(scope, EventKind.PAUSED, pause.event, pause.at, until, again)
            )
    return sorted(found, key=lambda no: (no.since, no.event_id), reverse=True)


def is_suppressed_by_other_form(facts: Sequence[ScopeFact], now: datetime) -> bool:
    """Whether a "no" of another form of the mailbox stands against this one, too (I9).

    `facts` are those of every form. It tells that there is one, and nothing about whose.
    """
    said = [
        fact
        if not fact.exact
        else replace(fact, state=ScopeState(lift=fact.state.lift, consent=fact.state.consent))
        for fact in facts
    ]
    scopes = {fact.scope for fact in facts} - RESERVED_SCOPES | {ALL_MARKETING}
    return any(find_denial(scope, said, now) for scope in scopes)


def compute_delivery_status(
    destination: DestinationSummary,
    sync: SyncSummary | None,
    deliveries: Sequence[Delivery],
    suppressions: Sequence[tuple[ActiveSuppression, datetime]],
    now: datetime,
) -> DeliveryStatus:
    """How far `tool` is with these standing nos, each with when it was received.

    `told` are deliveries about this address, the newest first.
    """
    concerned = [(no, at) for no, at in suppressions if _applies_to(no, destination.topics)]
    if not concerned:
        return DeliveryStatus(DeliveryState.NOT_APPLICABLE)
    answer = next((each for each in deliveries if each.outcome in _FINAL_STATES), None)
    if sync is not None and sync.due_at is None:
        return _settled_status(destination, sync, answer, [no for no, _ in concerned])
    if not destination.address_readable:
        return DeliveryStatus(DeliveryState.BLOCKED, Blocker.ADDRESS_UNREADABLE)
    due_at = sync.due_at if sync and sync.due_at else min(at for _, at in concerned) + WINDOW
    hurdle = _BLOCKERS.get(destination.connection)
    if hurdle is None and sync is not None and sync.last_outcome == Blocker.REFUSED:
        hurdle = Blocker.REFUSED
    waits = hurdle in {None, Blocker.UNREACHABLE}
    step = DeliveryState.PENDING if waits else DeliveryState.BLOCKED
    return DeliveryStatus(step, hurdle, due_at=due_at, late=due_at <= now)


def _settled_status(
    destination: DestinationSummary,
    sync: SyncSummary,
    confirmation: Delivery | None,
    suppressions: Sequence[ActiveSuppression],
) -> DeliveryStatus:
    """Nothing waits any more: either it answered, or there was nothing to tell it."""
    if (
        all(no.kind is EventKind.PAUSED for no in suppressions)
        and sync.last_outcome == "not_pushed"
    ):
        return DeliveryStatus(DeliveryState.BLOCKED, Blocker.PAUSE_UNSUPPORTED)
    if confirmation is not None:
        return DeliveryStatus(
            _FINAL_STATES[confirmation.outcome], confirmed_at=confirmation.at, ack=confirmation.ack
        )
    if not destination.address_readable:
        return DeliveryStatus(DeliveryState.BLOCKED, Blocker.ADDRESS_UNREADABLE)
    return DeliveryStatus(
        DeliveryState.NOT_APPLICABLE if sync.next_at is None else DeliveryState.PENDING
    )


def _applies_to(suppression: ActiveSuppression, topics: Collection[str]) -> bool:
    if suppression.scope in RESERVED_SCOPES:
        return any(topic not in suppression.exempt_topics for topic in topics)
    return suppression.scope in topics


def _merge_by_scope(facts: Iterable[ScopeFact]) -> dict[str, ScopeState]:
    """One state per scope. A "no" by mail whose address was not known yet is a second one."""
    states = {ALL_MARKETING: ScopeState()}
    for fact in facts:
        known = states.get(fact.scope, ScopeState())
        newer = fact.state.opt_out and (known.opt_out is None or fact.state.opt_out > known.opt_out)
        out, reason = (
            (fact.state.opt_out, fact.state.reason) if newer else (known.opt_out, known.reason)
        )
        other = fact.state if fact.state.lift or fact.state.pause else known
        states[fact.scope] = ScopeState(
            out, reason, lift=other.lift, pause=other.pause, pause_until=other.pause_until
        )
    return states


def _resubscribed_topics(
    scope: str, timestamped: Timestamped, states: dict[str, ScopeState]
) -> tuple[str, ...]:
    """Topics that an own opt-in took out of a wide "no", and that are not off by themselves."""
    if scope not in {ALL_MARKETING, UNDELIVERABLE}:
        return ()
    return tuple(
        sorted(
            topic
            for topic, state in states.items()
            if topic not in RESERVED_SCOPES
            and state.lift
            and not _is_active(timestamped, [state.lift])
            and not (state.opt_out and _is_active(state.opt_out, [state.lift]))
        )
    )


def _is_active(timestamped: Timestamped, lifts: Iterable[Timestamped | None]) -> bool:
    """Opt-out wins a tie (I5)."""
    return all(lift is None or timestamped.at >= lift.at for lift in lifts)
