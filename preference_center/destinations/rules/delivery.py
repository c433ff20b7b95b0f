"""These rules compute the status of opt-outs: of all active ones, and of one event at each tool.

`compute_delivery_status` is about all active opt-outs together: that is what the person and
support are shown. In doubt the status is pending.

`compute_event_delivery` is about one event of the ledger, active or not, for those who answer the
person's question.

Neither decides anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from preference_center.core.deadlines import WINDOW
from preference_center.core.events import (
    ALL_MARKETING,
    RESERVED_SCOPES,
    SHARING,
    UNDELIVERABLE,
    Event,
    EventKind,
    ScopeFact,
    ScopeState,
    Timestamped,
)
from preference_center.decisions.rules import find_denial
from preference_center.destinations.rules.states import NOT_PUSHED


@dataclass(frozen=True, slots=True)
class ActiveSuppression:
    """A suppression that is active for one address. `since` is when it counts from (UTC)."""

    scope: str
    kind: EventKind
    event_id: UUID
    since: datetime
    until: datetime | None = None
    """The end of a pause."""
    exempt_topics: tuple[str, ...] = ()
    """Topics that the person has turned on again since."""


class ConnectionStatus(StrEnum):
    """Whether a destination can be pushed to now."""

    OPEN = "open"
    UNREACHABLE = "unreachable"
    """The tool does not respond, or with errors; it is probed repeatedly."""
    NO_ACCESS = "no_access"
    """The tool refuses our credentials, a right or what we ask for: our staff has to act."""
    PAUSED = "paused"
    """Stopped by us, or by the tool itself."""
    OBSERVED = "observed"
    """Being set up: nothing is pushed to it yet."""


@dataclass(frozen=True, slots=True)
class DestinationSummary:
    """A destination as far as one address is concerned.

    `topics` are the topics of the address's channel that it may mail. `address_readable` is
    false once only a digest of the address is left, which can't be pushed.
    """

    name: str
    topics: frozenset[str]
    connection: ConnectionStatus
    address_readable: bool = True


@dataclass(frozen=True, slots=True)
class SyncSummary:
    """The sync state of one address there: what is pending, and the last outcome."""

    due_at: datetime | None
    next_at: datetime | None
    last_outcome: str | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery: its outcome, its time (UTC), and the tool's own acknowledgement."""

    outcome: str
    at: datetime
    ack: str = ""


class DeliveryState(StrEnum):
    """The state of an opt-out at one tool."""

    CONFIRMED = "confirmed"
    """The tool has confirmed it."""
    ABSENT = "absent"
    """The tool does not know the address, so it can't mail it."""
    PENDING = "pending"
    BLOCKED = "blocked"
    """For a reason that does not end by itself: see `Blocker`."""
    NOT_APPLICABLE = "not_applicable"
    """The tool sends nothing of what was turned off."""


class Blocker(StrEnum):
    """Why it is not confirmed."""

    REFUSED = "refused"
    """The tool rejects this address; it is retried."""
    PAUSED = "paused"
    OBSERVED = "observed"
    UNREACHABLE = "unreachable"
    NO_ACCESS = "no_access"
    """The tool refuses our credentials or a right."""
    PAUSE_UNSUPPORTED = "pause_unsupported"
    """Neither the tool nor we could end a pause there, so none is set (I10)."""
    ADDRESS_UNREADABLE = "address_unreadable"
    """Only a digest of the address is left (I6)."""


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """The status at one tool. `confirmed_at` is when it responded, `due_at` the deadline (UTC)."""

    state: DeliveryState
    blocker: Blocker | None = None
    confirmed_at: datetime | None = None
    ack: str = ""
    due_at: datetime | None = None
    late: bool = False

    @property
    def is_done(self) -> bool:
        """Whether nothing of what was turned off can come from this tool any more."""
        return self.state in {DeliveryState.CONFIRMED, DeliveryState.ABSENT}


class CompletionState(StrEnum):
    """How far the systems that send what was turned off are, taken together."""

    DONE = "done"
    PENDING = "pending"
    LATE = "late"
    INCOMPLETE = "incomplete"
    """A system can't make the change, and has no deadline."""


@dataclass(frozen=True, slots=True)
class DeliverySummary:
    """How far the tools that send what was turned off are, taken together.

    `due_at` is the last deadline (UTC) of those that are not done; None if none has one.
    """

    done: int
    total: int
    late: int
    due_at: datetime | None

    @property
    def state(self) -> CompletionState:
        """One state for all; done also without any."""
        if self.done == self.total:
            return CompletionState.DONE
        if self.late:
            return CompletionState.LATE
        return CompletionState.PENDING if self.due_at else CompletionState.INCOMPLETE


BLOCKERS = {
    ConnectionStatus.PAUSED: Blocker.PAUSED,
    ConnectionStatus.OBSERVED: Blocker.OBSERVED,
    ConnectionStatus.UNREACHABLE: Blocker.UNREACHABLE,
    ConnectionStatus.NO_ACCESS: Blocker.NO_ACCESS,
}
"""Why a tool that can't be pushed to now has not confirmed."""


_PENDING_BLOCKERS = {None, Blocker.UNREACHABLE, Blocker.NO_ACCESS}
"""Those with which we try again by ourselves."""


FINAL_STATES = {"reflected": DeliveryState.CONFIRMED, "absent": DeliveryState.ABSENT}
"""The outcomes of a delivery with which a tool is done."""


def active_suppressions(facts: Sequence[ScopeFact], now: datetime) -> list[ActiveSuppression]:
    """Every suppression that is active for exactly one address, given its exact facts (I9).

    The newest comes first. An opt-out that a wider one covers too is included: it stays when
    the wider one is lifted (I5).
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
    return sorted(found, key=lambda each: (each.since, each.event_id), reverse=True)


def is_suppressed_by_other_form(facts: Sequence[ScopeFact], now: datetime) -> bool:
    """Whether a suppression of another form of the mailbox denies this one, too (I9).

    `facts` are those of every form. The result reveals nothing about the other form.
    """
    without_own = [
        fact
        if not fact.exact
        else replace(fact, state=ScopeState(lift=fact.state.lift, consent=fact.state.consent))
        for fact in facts
    ]
    scopes = {fact.scope for fact in facts} - RESERVED_SCOPES | {ALL_MARKETING}
    return any(find_denial(scope, without_own, now) for scope in scopes)


def compute_delivery_status(
    destination: DestinationSummary,
    sync: SyncSummary | None,
    deliveries: Sequence[Delivery],
    suppressions: Sequence[tuple[ActiveSuppression, datetime]],
    now: datetime,
) -> DeliveryStatus:
    """The status of these active suppressions at a tool, each with when it was received.

    `deliveries` are those of this address, the newest first.
    """
    relevant = [(each, at) for each, at in suppressions if _applies_to(each, destination.topics)]
    if not relevant:
        return DeliveryStatus(DeliveryState.NOT_APPLICABLE)
    confirmation = next((each for each in deliveries if each.outcome in FINAL_STATES), None)
    if sync is not None and sync.due_at is None:
        return _settled_status(destination, sync, confirmation, [each for each, _ in relevant])
    if not destination.address_readable:
        return DeliveryStatus(DeliveryState.BLOCKED, Blocker.ADDRESS_UNREADABLE)
    due_at = sync.due_at if sync and sync.due_at else min(at for _, at in relevant) + WINDOW
    blocker = BLOCKERS.get(destination.connection)
    if blocker is None and sync is not None and sync.last_outcome == Blocker.REFUSED:
        blocker = Blocker.REFUSED
    is_pending = blocker in _PENDING_BLOCKERS
    state = DeliveryState.PENDING if is_pending else DeliveryState.BLOCKED
    return DeliveryStatus(state, blocker, due_at=due_at, late=due_at <= now)


def summarize_delivery(statuses: Iterable[DeliveryStatus]) -> DeliverySummary:
    """The summary of these statuses; what sends nothing of it does not count."""
    concerned = [each for each in statuses if each.state is not DeliveryState.NOT_APPLICABLE]
    return DeliverySummary(
        done=sum(each.is_done for each in concerned),
        total=len(concerned),
        late=sum(each.late for each in concerned),
        due_at=max((each.due_at for each in concerned if each.due_at), default=None),
    )


def _settled_status(
    destination: DestinationSummary,
    sync: SyncSummary,
    confirmation: Delivery | None,
    suppressions: Sequence[ActiveSuppression],
) -> DeliveryStatus:
    """Nothing is pending: either the tool has responded, or there was nothing to push."""
    only_pauses = all(each.kind is EventKind.PAUSED for each in suppressions)
    if only_pauses and sync.last_outcome == NOT_PUSHED:
        return DeliveryStatus(DeliveryState.BLOCKED, Blocker.PAUSE_UNSUPPORTED)
    if confirmation is not None:
        return DeliveryStatus(
            FINAL_STATES[confirmation.outcome], confirmed_at=confirmation.at, ack=confirmation.ack
        )
    if not destination.address_readable:
        return DeliveryStatus(DeliveryState.BLOCKED, Blocker.ADDRESS_UNREADABLE)
    return DeliveryStatus(
        DeliveryState.NOT_APPLICABLE if sync.next_at is None else DeliveryState.PENDING
    )


def _applies_to(suppression: ActiveSuppression, topics: Collection[str]) -> bool:
    if suppression.scope in RESERVED_SCOPES - {SHARING}:
        return any(topic not in suppression.exempt_topics for topic in topics)
    return suppression.scope in topics


def _merge_by_scope(facts: Iterable[ScopeFact]) -> dict[str, ScopeState]:
    """One state per scope. An opt-out by mail whose address was not known yet is a second one."""
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
    """Topics that an own opt-in exempts from a wide suppression, unless they are off themselves."""
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


@dataclass(frozen=True, slots=True)
class VersionedSync:
    """The sync state of one address at one tool, with the version that it reflects."""

    reflected_version: int
    due_at: datetime | None
    last_outcome: str | None


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """The tool's first answer to a push of at least an event's version: `reflected` or `absent`.

    `version` is greater than the event's if it was pushed together with newer events. `at` in UTC.
    """

    outcome: str
    at: datetime
    ack: str
    version: int


def concerns(scope: str, topics: frozenset[str]) -> bool:
    """Whether a tool that sends `topics` sends anything of `scope`."""
    return bool(topics) if scope in RESERVED_SCOPES - {SHARING} else scope in topics


def compute_event_delivery(
    event: Event,
    tool: DestinationSummary,
    sync: VersionedSync | None,
    answer: FinalAnswer | None,
    now: datetime,
    *,
    is_active: bool,
) -> DeliveryStatus:
    """How far this tool is with this event. `answer` is the first to it, if there was one.

    `is_active`: it is the event of an active suppression, so a tool without a sync state of the
    address is still to get one.
    """
    if not event.kind.rules.is_pushed or not concerns(event.scope, tool.topics):
        return DeliveryStatus(DeliveryState.NOT_APPLICABLE)
    if answer is not None:
        return DeliveryStatus(FINAL_STATES[answer.outcome], confirmed_at=answer.at, ack=answer.ack)
    if sync is not None and sync.reflected_version >= event.seq:
        return _settled(sync)
    if sync is None and not is_active:
        return DeliveryStatus(DeliveryState.NOT_APPLICABLE)
    if not tool.address_readable:
        return DeliveryStatus(DeliveryState.BLOCKED, Blocker.ADDRESS_UNREADABLE)
    return _pending(event, tool, sync, now)


def _settled(sync: VersionedSync) -> DeliveryStatus:
    """Nothing is pending, and no answer is stored: none was needed, or it has expired."""
    if sync.last_outcome in FINAL_STATES:
        return DeliveryStatus(FINAL_STATES[sync.last_outcome])
    return DeliveryStatus(DeliveryState.NOT_APPLICABLE)


def _pending(
    event: Event, tool: DestinationSummary, sync: VersionedSync | None, now: datetime
) -> DeliveryStatus:
    due_at = sync.due_at if sync else None
    if due_at is None and event.kind.suppresses:
        due_at = event.received_at + WINDOW
    blocker = BLOCKERS.get(tool.connection)
    if blocker is None and sync is not None and sync.last_outcome == Blocker.REFUSED:
        blocker = Blocker.REFUSED
    is_pending = blocker in _PENDING_BLOCKERS
    state = DeliveryState.PENDING if is_pending else DeliveryState.BLOCKED
    late = due_at is not None and due_at <= now
    return DeliveryStatus(state, blocker, due_at=due_at, late=late)
