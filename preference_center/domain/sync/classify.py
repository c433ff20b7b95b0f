"""What news from a tool, or a contact seen there, means for us: pure rules (I5, I13)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from preference_center.domain.bounces import DeliverabilityPolicy, complaint_scope
from preference_center.domain.decisions import (
    ScopeFact,
    is_marketing_suppressed,
    is_opted_out,
    is_redundant_opt_out,
)
from preference_center.domain.events import ALL_MARKETING, UNDELIVERABLE, EventKind
from preference_center.domain.sync.contract import ContactSnapshot, PushResult
from preference_center.domain.sync.destination import Destination
from preference_center.domain.sync.state import AddressSyncState
from preference_center.domain.vendor_event_time import plausible_occurred_at
from preference_center.domain.vendor_events import (
    ALL_EMAIL,
    ALL_SMS,
    WHOLE_LIST,
    VendorEvent,
    VendorEventKind,
)

PROPAGATION_DELAY = timedelta(minutes=10)
"""How long a tool may go on showing what it was before we told it."""
REPUSH_INTERVAL = timedelta(days=1)
"""How often somebody is told again to a tool that can't be read."""

_WHOLE_ACCOUNT_TARGETS = frozenset({WHOLE_LIST, ALL_EMAIL, ALL_SMS})


def _suppressing_kind(kind: VendorEventKind) -> EventKind | None:
    """The kind of event that it is recorded as; None if it says nothing of what is off."""
    match kind:
        case VendorEventKind.OPTED_OUT:
            return EventKind.OPTED_OUT
        case VendorEventKind.COMPLAINED:
            return EventKind.COMPLAINED
        case VendorEventKind.BOUNCED:
            return EventKind.BOUNCED
        case (
            VendorEventKind.RESUBSCRIBED
            | VendorEventKind.CONTACT_CHANGED
            | VendorEventKind.UNKNOWN_TYPE
        ):
            return None
        case _:
            assert_never(kind)


class EventAction(StrEnum):
    """What becomes of one piece of news."""

    RECORD = "record"
    ALREADY_KNOWN = "already_known"
    """It says what stands already."""
    ECHO = "echo"
    """It says what we told the tool ourselves."""
    READ_BACK = "read_back"
    """It may be older than what we have told the tool since: the tool is asked what is off."""
    UNMAPPED = "unmapped"
    """It is about a thing that no topic of the destination maps to."""
    CHECK_CONTACT = "check_contact"
    """It says that a contact is there: see `look`."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A verdict; with RECORD, of which kind and scope."""

    action: EventAction
    kind: EventKind = EventKind.OPTED_OUT
    scope: str = ""


@dataclass(frozen=True, slots=True)
class AddressContext:
    """All that we know of one address and one destination."""

    facts: Sequence[ScopeFact]
    """Of every form of the mailbox."""
    topics: frozenset[str]
    """What the destination sends on this channel."""
    wanted: frozenset[str]
    """Of those, what must be off there."""
    state: AddressSyncState | None
    """None if the address is new to us."""


def topics_by_target(destination: Destination) -> Mapping[str, str]:
    """The tool's own names of what the destination sends -> our topics."""
    named = {topic: topic for topic in destination.sends - destination.mapping.keys()}
    return named | {thing: topic for topic, thing in destination.mapping.items()}


def unmapped_target(event: VendorEvent, target_topics: Mapping[str, str]) -> str | None:
    """The tool's own id of what somebody opted out of there, if no topic maps to it."""
    is_no = event.kind is VendorEventKind.OPTED_OUT
    return event.target if is_no and _scope_of(event, target_topics) is None else None


def classify_event(
    event: VendorEvent,
    context: AddressContext,
    target_topics: Mapping[str, str],
    policy: DeliverabilityPolicy,
    now: datetime,
    *,
    can_read: bool = False,
) -> Evaluation:
    """What becomes of `news`; a bounce with its details is then to be judged as such.

    An act that the vendor says a person did is recorded, whatever stands: a repeat must be
    in the ledger too (I5), and can't be our own doing. Anything else may be the echo of what
    we told, so it only counts where it says something that we neither know nor have told.
    A switch that no push of ours changes can be no echo: it counts once until it is shown on.
    `can_ask`: what is off there can be read, so what may be past need not be believed.
    """
    kind = _suppressing_kind(event.kind)
    if kind is None:
        return Evaluation(EventAction.CHECK_CONTACT)
    scope = _scope_of(event, target_topics)
    if scope is None:
        return Evaluation(EventAction.UNMAPPED)
    if event.kind is VendorEventKind.COMPLAINED:
        scope = complaint_scope(policy, target_topics.get(event.target or ""))
    if event.by_person and (event.id or event.occurred_at):
        return Evaluation(EventAction.RECORD, kind, scope)
    if _is_active(scope, context.facts, now):
        return Evaluation(EventAction.ALREADY_KNOWN)
    if event.unsubscribed_from_all:
        is_repeat = is_all_off(context.state) and (
            event.occurred_at is None or may_predate_push(event, context.state, now)
        )
        return Evaluation(EventAction.ECHO if is_repeat else EventAction.RECORD, kind, scope)
    if kind is EventKind.OPTED_OUT and not event.by_person:
        if _is_echo(scope, context):
            return Evaluation(EventAction.ECHO)
        if (
            can_read
            and _may_be_our_push(scope, context)
            and may_predate_push(event, context.state, now)
        ):
            return Evaluation(EventAction.READ_BACK)
    return Evaluation(EventAction.RECORD, kind, scope)


def topics_off_in_tool(
    events: Collection[VendorEvent], context: AddressContext, target_topics: Mapping[str, str]
) -> frozenset[str]:
    """The topics that are off in the tool, as its opt-outs say."""
    off: set[str] = set()
    for each in events:
        if each.kind is VendorEventKind.OPTED_OUT:
            scope = _scope_of(each, target_topics)
            off |= context.topics if scope == ALL_MARKETING else {scope or ""}
    return frozenset(off) & context.topics


def _scope_of(event: VendorEvent, target_topics: Mapping[str, str]) -> str | None:
    if event.kind is VendorEventKind.BOUNCED:
        return UNDELIVERABLE
    if event.kind is VendorEventKind.COMPLAINED or event.target is None:
        return ALL_MARKETING
    return target_topics.get(
        event.target, ALL_MARKETING if event.target in _WHOLE_ACCOUNT_TARGETS else None
    )


def _is_active(scope: str, facts: Sequence[ScopeFact], now: datetime) -> bool:
    """Whether exactly this form has said so itself, and all of it stands: nothing would change.

    What was opted in to since is denied by one more "no" (I5, I13).
    """
    exact = [fact for fact in facts if fact.exact]
    if scope in {ALL_MARKETING, UNDELIVERABLE}:
        return is_redundant_opt_out(scope, exact)
    return is_opted_out(scope, exact, now)


def is_all_off(state: AddressSyncState | None) -> bool:
    """Whether the contact's own switch for all was off when the tool last showed it.

    One of a contact that is gone is gone with it.
    """
    return (
        state is not None
        and ALL_MARKETING in state.turned_off
        and state.last_outcome != PushResult.ABSENT
    )


def latest_all_off(
    events: Sequence[VendorEvent],
    snapshot: ContactSnapshot | None,
    now: datetime,
    *,
    is_full_list: bool,
) -> bool | None:
    """Whether the contact's own switch for all is off now; None where that is not reported.

    A late report says nothing of now where it was off: it may be on since. Unless it comes of
    a list of all that is off (`whole`).
    """
    reported = [
        each.unsubscribed_from_all
        for each in events
        if is_full_list or not (each.unsubscribed_from_all and is_outdated(each, now))
    ]
    shown = [*reported, snapshot.all_off if snapshot else None]
    return next((all_off for all_off in reversed(shown) if all_off is not None), None)


def _is_echo(scope: str, context: AddressContext) -> bool:
    state = context.state
    if state is None or not state.has_row:
        return False
    if scope == ALL_MARKETING:
        return bool(context.topics) and context.topics <= state.turned_off
    return scope in state.turned_off or scope in context.wanted


def _may_be_our_push(scope: str, context: AddressContext) -> bool:
    """Whether we may have turned it off there, and on again since.

    All marketing only where nothing is left of what we had turned off, or where topics were
    opted in to since.
    """
    if scope != ALL_MARKETING:
        return True
    exact = [fact for fact in context.facts if fact.exact]
    if context.state is None:
        return False
    return not context.state.turned_off - {ALL_MARKETING} or is_marketing_suppressed(exact)


def may_predate_push(
    event: VendorEvent | None, state: AddressSyncState | None, now: datetime
) -> bool:
    """Whether `news`, or what a tool shows now, may be of before it took what we told it last.

    A tool shows the old state for a while yet, or tells late of what was.
    """
    if state is None or state.last_push_at is None:
        return False
    at = (plausible_occurred_at(event, now) or event.received_at) if event else None
    return (at or now) - state.last_push_at < PROPAGATION_DELAY


def is_outdated(event: VendorEvent, now: datetime) -> bool:
    """Whether it tells of what was: the tool may have turned on again what went off then."""
    return event.occurred_at is not None and now - event.occurred_at > PROPAGATION_DELAY


def _is_recently_pushed(state: AddressSyncState, now: datetime) -> bool:
    return state.last_delivery_at is not None and now - state.last_delivery_at < PROPAGATION_DELAY


class FollowUp(StrEnum):
    """What a contact that was seen in the tool needs."""

    NONE = "none"
    PUSH_FIRST_TIME = "push_first_time"
    """To be told to it for the first time."""
    PUSH_NOW = "push_now"
    """The same, of somebody who was erased: nothing readable may be stored (I6)."""
    REPUSH = "repush"
    REPAIR_DRIFT = "repair_drift"
    """It had confirmed, and says something else now: drift."""
    READ_BACK_NOW = "read_back_now"
    READ_BACK_LATER = "read_back_later"
    """To be read back once the tool can be trusted to show what we told it."""


def follow_up_for(
    snapshot: ContactSnapshot, context: AddressContext, now: datetime, *, can_read: bool
) -> FollowUp:
    """What the contact needs to be suppressed there as it should be."""
    state = context.state
    if not context.wanted or (state is not None and state.push_pending):
        return FollowUp.NONE
    if state is not None and state.erased and not state.readable:
        return FollowUp.PUSH_NOW
    if state is None or not state.has_row:
        return FollowUp.PUSH_FIRST_TIME
    if state.last_outcome != PushResult.REFLECTED:
        return FollowUp.REPUSH
    if _is_recently_pushed(state, now):
        return FollowUp.NONE  # it was we who changed the contact
    return _follow_up_if_confirmed(snapshot, context, now, can_read=can_read)


def _follow_up_if_confirmed(
    snapshot: ContactSnapshot, context: AddressContext, now: datetime, *, can_read: bool
) -> FollowUp:
    """The same of somebody of whom the tool had confirmed that it mails them no more."""
    state = context.state
    if snapshot.off is not None:
        return FollowUp.NONE if context.wanted <= snapshot.off else FollowUp.REPAIR_DRIFT
    if can_read:
        return FollowUp.READ_BACK_NOW
    told_at = state.last_delivery_at if state else None
    told_lately = told_at is not None and now - told_at < REPUSH_INTERVAL
    return FollowUp.NONE if told_lately else FollowUp.REPUSH


def is_unwanted_resubscribe(
    event: VendorEvent, context: AddressContext, target_topics: Mapping[str, str], now: datetime
) -> bool:
    """Whether the tool says that it mails again what must be off there (I5)."""
    scope, at = _scope_of(event, target_topics), plausible_occurred_at(event, now)
    told_since = (
        context.state is not None
        and context.state.last_delivery_at is not None
        and at is not None
        and context.state.last_delivery_at >= at
    )
    concerned = bool(context.wanted) if scope == ALL_MARKETING else scope in context.wanted
    return event.kind is VendorEventKind.RESUBSCRIBED and concerned and not told_since
