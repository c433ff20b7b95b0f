"""These rules classify vendor events (I5, I13).

Foreign clocks are not trusted: a tool may stamp 0, its local time, or the time of an older
act. An opt-out counts from the tool's own date as far as that is plausible, and otherwise from when
it reached us (I5).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from preference_center.core.bounces import DeliverabilityPolicy, complaint_scope
from preference_center.core.events import (
    ALL_MARKETING,
    CLOCK_TOLERANCE,
    SHARING,
    UNDELIVERABLE,
    EventKind,
    ScopeFact,
    ScopeState,
)
from preference_center.decisions.rules import (
    is_marketing_suppressed,
    is_opted_out,
    is_redundant_opt_out,
)
from preference_center.destinations.rules.states import AddressSyncState, Destination
from preference_center.integrations.base.contract import ContactSnapshot, PushResult
from preference_center.integrations.base.vendor_events import (
    ALL_EMAIL,
    ALL_SMS,
    WHOLE_LIST,
    VendorEvent,
    VendorEventKind,
)
from preference_center.ledger.rules import EARLIEST_TIME

MAX_RETRY_AGE = timedelta(days=3)
"""How much older than its receipt a webhook's act may be: most vendors retry for hours,
SendGrid for a day, and what Customer.io retries for a week may count from its receipt."""


def plausible_occurred_at(
    event: VendorEvent, now: datetime, opted_in_at: datetime | None = None
) -> datetime | None:
    """The tool's date of the act (UTC) if it is plausible, else None: count from receipt.

    A webhook (`received_at` is set) reports what just happened: its date lies in the three
    days before. A listing may report any act since EARLIEST_TIME. Neither may lie in the future.
    `opted_in_at` is when the person last opted in with us to what this covers: a webhook
    that arrives later and claims an earlier act is late, or its clock is wrong. Which one
    is unknown, so the opt-out wins.
    """
    if event.occurred_at is None:
        return None
    if event.received_at is None:
        return event.occurred_at if EARLIEST_TIME <= event.occurred_at <= now else None
    if not event.received_at - MAX_RETRY_AGE <= event.occurred_at <= event.received_at:
        return None
    if (
        opted_in_at is not None
        and event.occurred_at + CLOCK_TOLERANCE < opted_in_at <= event.received_at
    ):
        return None
    return event.occurred_at


PROPAGATION_DELAY = timedelta(minutes=10)
"""How long a tool may go on showing its state of before a push."""


_WHOLE_ACCOUNT_TARGETS = frozenset({WHOLE_LIST, ALL_EMAIL, ALL_SMS})


def _suppressing_kind(kind: VendorEventKind) -> EventKind | None:
    """The kind of event that it is recorded as; None if it does not turn anything off."""
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
    """What is done about one vendor event."""

    RECORD = "record"
    ALREADY_KNOWN = "already_known"
    """It reports what is recorded already."""
    ECHO = "echo"
    """It reports what we pushed to the tool ourselves."""
    READ_BACK = "read_back"
    """It may be older than our last push: the tool is asked what is off."""
    UNMAPPED = "unmapped"
    """Its target is mapped to no topic of the destination."""
    CHECK_CONTACT = "check_contact"
    """It reports that a contact is there: see `follow_up_for`."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The action; with RECORD, the kind and scope of the event."""

    action: EventAction
    kind: EventKind = EventKind.OPTED_OUT
    scope: str = ""


@dataclass(frozen=True, slots=True)
class AddressContext:
    """What is known of one address at one destination."""

    facts: Sequence[ScopeFact]
    """Of every form of the mailbox."""
    topics: frozenset[str]
    """The topics that the destination sends on this channel."""
    wanted: frozenset[str]
    """Of those, the topics that must be off there."""
    state: AddressSyncState | None
    """None if the address is not stored yet."""
    imported: frozenset[UUID] = frozenset()
    """The opt-outs among `facts` that an import recorded, whose undo takes them back."""


def topics_by_target(destination: Destination) -> Mapping[str, str]:
    """The tool's own ids of what the destination sends -> our topics."""
    named = {topic: topic for topic in destination.sends - destination.mapping.keys()}
    return named | {target: topic for topic, target in destination.mapping.items()}


def unmapped_target(event: VendorEvent, target_topics: Mapping[str, str]) -> str | None:
    """The target of an opt-out there, if no topic maps to it; else None."""
    is_opt_out = event.kind is VendorEventKind.OPTED_OUT
    return event.target if is_opt_out and _scope_of(event, target_topics) is None else None


def classify_event(
    event: VendorEvent,
    context: AddressContext,
    target_topics: Mapping[str, str],
    policy: DeliverabilityPolicy,
    now: datetime,
    *,
    can_read: bool = False,
) -> Evaluation:
    """What is done about `event`; a bounce with details is then evaluated by the policy.

    An act that the vendor attributes to a person is always recorded: a repeat must be in the
    ledger too (I5), and can't be our own push. Anything else may be the echo of a push, so it
    only counts where it reports something that is neither recorded nor pushed. A switch that
    no push of ours changes can be no echo: it counts once until it is shown on.
    `can_read`: the tool can be asked what is off, so an event that may be outdated is not
    recorded.
    """
    kind = _suppressing_kind(event.kind)
    if kind is None:
        return Evaluation(EventAction.CHECK_CONTACT)
    scope = _scope_of(event, target_topics)
    if scope is None:
        return Evaluation(EventAction.UNMAPPED)
    if event.kind is VendorEventKind.COMPLAINED:
        target = target_topics.get(event.target or "")  # a complaint is about a message
        scope = complaint_scope(policy, None if target == SHARING else target)
    if event.by_person and (event.id or event.occurred_at):
        return Evaluation(EventAction.RECORD, kind, scope)
    if _is_active(scope, _lasting_facts(event, context, now), now):
        return Evaluation(EventAction.ALREADY_KNOWN)
    if event.unsubscribed_from_all:
        is_repeat = is_all_off(context.state) and (
            event.occurred_at is None or may_predate_push(event, context.state, now)
        )
        return Evaluation(EventAction.ECHO if is_repeat else EventAction.RECORD, kind, scope)
    if kind is EventKind.OPTED_OUT and not event.by_person:
        may_be_undone = _is_active(scope, context.facts, now)
        if _is_echo(scope, context, frozenset() if may_be_undone else context.wanted):
            return Evaluation(EventAction.ECHO)
        if (
            can_read
            and not may_be_undone
            and _may_be_our_push(scope, context)
            and may_predate_push(event, context.state, now)
        ):
            return Evaluation(EventAction.READ_BACK)
    return Evaluation(EventAction.RECORD, kind, scope)


def topics_off_in_tool(
    events: Collection[VendorEvent], context: AddressContext, target_topics: Mapping[str, str]
) -> frozenset[str]:
    """The topics that are off in the tool, by its opt-outs."""
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
    """Whether exactly this form is opted out of all of `scope`: recording it changes nothing.

    What was opted in to since is denied by one more opt-out (I5, I13).
    """
    exact = [fact for fact in facts if fact.exact]
    if scope in {ALL_MARKETING, UNDELIVERABLE}:
        return is_redundant_opt_out(scope, exact)
    return is_opted_out(scope, exact, now)


def _lasting_facts(event: VendorEvent, context: AddressContext, now: datetime) -> list[ScopeFact]:
    """The facts without opt-outs whose undo would take with it what `event` reports.

    Those are what a correction of the address recorded, which is nobody's opt-out, and what an
    import recorded before `event`. Opt-ins count.
    """
    at = event.received_at or plausible_occurred_at(event, now)

    def is_lasting(state: ScopeState) -> bool:
        opt_out = state.opt_out
        if opt_out is None or state.reason is EventKind.MOVED:
            return False
        return at is None or at <= opt_out.at or opt_out.event not in context.imported

    def without(state: ScopeState) -> ScopeState:
        return state if is_lasting(state) else replace(state, opt_out=None, reason=None)

    return [replace(fact, state=without(fact.state)) for fact in context.facts]


def is_all_off(state: AddressSyncState | None) -> bool:
    """Whether the contact's own switch for all was off when the tool last showed it.

    The switch of a contact that is gone is gone too.
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

    A late report of "off" is no evidence for now: it may be on since. Unless it belongs to a
    list of everything that is off now (`is_full_list`).
    """
    reported = [
        each.unsubscribed_from_all
        for each in events
        if is_full_list or not (each.unsubscribed_from_all and is_outdated(each, now))
    ]
    shown = [*reported, snapshot.all_off if snapshot else None]
    return next((all_off for all_off in reversed(shown) if all_off is not None), None)


def _is_echo(scope: str, context: AddressContext, wanted: frozenset[str]) -> bool:
    """Whether all of `scope` is off there by our pushes, or is about to be."""
    state = context.state
    if state is None or not state.has_row:
        return False
    if scope == ALL_MARKETING:
        return bool(context.topics) and context.topics <= state.turned_off
    return scope in state.turned_off or scope in wanted


def _may_be_our_push(scope: str, context: AddressContext) -> bool:
    """Whether a push of ours may have turned it off there, and on again since.

    Of all marketing, only where nothing must be off of what we had turned off, or where topics
    were opted in to since.
    """
    if scope != ALL_MARKETING:
        return True
    exact = [fact for fact in context.facts if fact.exact]
    if context.state is None:
        return False
    return not context.state.turned_off & context.wanted or is_marketing_suppressed(exact)


def may_predate_push(
    event: VendorEvent | None, state: AddressSyncState | None, now: datetime
) -> bool:
    """Whether `event`, or the state a tool shows now, may be from before our last push.

    A tool may show the old state for a while, or report it late.
    """
    if state is None or state.last_push_at is None:
        return False
    at = (plausible_occurred_at(event, now) or event.received_at) if event else None
    return (at or now) - state.last_push_at < PROPAGATION_DELAY


def is_outdated(event: VendorEvent, now: datetime) -> bool:
    """Whether it may report the past: the tool may have turned the target on again since.

    A webhook may be days late: only a plausible date says that it is not (I5). What is listed
    without a date is off now.
    """
    if event.occurred_at is None and event.received_at is None:
        return False
    at = plausible_occurred_at(event, now)
    return at is None or now - at > PROPAGATION_DELAY


def is_unwanted_resubscribe(
    event: VendorEvent, context: AddressContext, target_topics: Mapping[str, str], now: datetime
) -> bool:
    """Whether the tool reports that something is on again that must be off there (I5)."""
    scope, at = _scope_of(event, target_topics), plausible_occurred_at(event, now)
    pushed_since = (
        context.state is not None
        and context.state.last_delivery_at is not None
        and at is not None
        and context.state.last_delivery_at >= at
    )
    must_be_off = bool(context.wanted) if scope == ALL_MARKETING else scope in context.wanted
    return event.kind is VendorEventKind.RESUBSCRIBED and must_be_off and not pushed_since
