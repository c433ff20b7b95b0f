"""What became of one event at one connected tool, for those who answer the person's question.

The state of all active opt-outs together is `delivery_status`: that is what the person is shown.
This is about one event of the ledger, active or not. It decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from preference_center.core.deadlines import WINDOW
from preference_center.core.events import RESERVED_SCOPES, SHARING, Event, EventKind
from preference_center.destinations.rules.delivery_status import (
    BLOCKERS,
    FINAL_STATES,
    Blocker,
    DeliveryState,
    DeliveryStatus,
    DestinationSummary,
)


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


def is_pushed(kind: EventKind) -> bool:
    """Whether events of this kind change what tools are to do."""
    match kind:
        case EventKind.CONSENTED | EventKind.FREQUENCY_CHOSEN:
            return False
        case (
            EventKind.OPTED_OUT
            | EventKind.OPTED_IN
            | EventKind.PAUSED
            | EventKind.BOUNCED
            | EventKind.COMPLAINED
            | EventKind.DEACTIVATED
            | EventKind.ERASED
            | EventKind.REOPENED
            | EventKind.RESTRICTED
            | EventKind.UNRESTRICTED
            | EventKind.MOVED
            | EventKind.RETRACTED
        ):
            return True
        case _:
            assert_never(kind)


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
    if not is_pushed(event.kind) or not concerns(event.scope, tool.topics):
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
    is_pending = blocker in {None, Blocker.UNREACHABLE}
    state = DeliveryState.PENDING if is_pending else DeliveryState.BLOCKED
    late = due_at is not None and due_at <= now
    return DeliveryStatus(state, blocker, due_at=due_at, late=late)
