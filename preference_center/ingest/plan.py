"""What a page of a listing, or a webhook, says of whom, and what follows from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid5

from preference_center.bounces import BounceReport
from preference_center.domain.addresses import Address, parse_address
from preference_center.domain.bounces import DeliverabilityPolicy
from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.decisions import ScopeFact, newest_opt_in
from preference_center.domain.events import Change
from preference_center.domain.sync.capabilities import Capabilities
from preference_center.domain.sync.classify import (
    AddressContext,
    Evaluation,
    EventAction,
    FollowUp,
    classify_event,
    follow_up_for,
    is_all_off,
    is_outdated,
    is_unwanted_resubscribe,
    latest_all_off,
    may_predate_push,
    topics_by_target,
    topics_off_in_tool,
)
from preference_center.domain.sync.contract import ContactSnapshot
from preference_center.domain.sync.destination import Destination, DestinationStatus
from preference_center.domain.sync.plan import active_suppressions, topics_by_channel
from preference_center.domain.vendor_event_time import plausible_occurred_at
from preference_center.domain.vendor_events import VendorEvent, VendorEventKind
from preference_center.errors import InvalidAddress
from preference_center.extensions import services
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import run_autocommit
from preference_center.storage.ledger.suppression_lookup import load_facts
from preference_center.storage.sync import verification
from preference_center.storage.sync.listings import VerificationStats
from preference_center.storage.sync.reported_opt_outs import DESTINATION_SOURCE

_EVENT_ID_NAMESPACE = UUID("b9c1f7c6-3f51-4d0b-9a8e-5b0d6f1c2a33")
"""Namespace of the ids of events that are made from a vendor's own ids."""

AddressKey = tuple[bytes, str]
"""Exact digest and channel of an address."""


@dataclass(slots=True)
class AddressEvents:
    """What a page says about one address."""

    address: Address
    raw_address: str
    """The address as the tool writes it."""
    events: list[VendorEvent] = field(default_factory=list)
    snapshot: ContactSnapshot | None = None


@dataclass(slots=True)
class IngestPlan:
    """What is to be done about a page."""

    changes: list[Change] = field(default_factory=list)
    bounces: list[BounceReport] = field(default_factory=list)
    """Those whose details are known: the policy says what becomes of them."""
    turned_off: dict[AddressKey, frozenset[str]] = field(default_factory=dict)
    """What went off in the tool by itself, as it says."""
    still_off: dict[AddressKey, frozenset[str]] = field(default_factory=dict)
    """Of that, what surely is off now."""
    turned_on: dict[AddressKey, frozenset[str]] = field(default_factory=dict)
    """What we had turned off there, and was turned on by somebody else since."""
    all_off: dict[AddressKey, bool] = field(default_factory=dict)
    """Whose switch for all is off now, or on, where that was not known: see `News.all_off`."""
    follow_ups: defaultdict[FollowUp, list[AddressKey]] = field(
        default_factory=lambda: defaultdict(list)
    )
    stats: VerificationStats = field(default_factory=VerificationStats)
    pushed: dict[int, tuple[str, str]] = field(default_factory=dict)


def group_by_address(
    observations: Iterable[VendorEvent | ContactSnapshot],
) -> tuple[dict[AddressKey, AddressEvents], int]:
    """By address, and how many addresses can't be parsed."""
    context = services()
    people: dict[AddressKey, AddressEvents] = {}
    unreadable = 0
    for each in observations:
        try:
            address = parse_address(
                each.address, each.channel, region=context.settings.phone_region
            )
        except InvalidAddress:
            unreadable += 1
            continue
        key = (context.keys.exact_digest(address), address.channel.value)
        person = people.setdefault(key, AddressEvents(address, each.address))
        if isinstance(each, ContactSnapshot):
            person.snapshot = each
        else:
            person.events.append(each)
    return people, unreadable


def load_contexts(
    destination: Destination,
    capabilities: Capabilities,
    events_by_address: Mapping[AddressKey, AddressEvents],
) -> dict[AddressKey, AddressContext]:
    """All that is known of these people and the destination."""
    now, can_lift = services().now(), capabilities.can_lift
    topics = topics_by_channel(destination, current_catalogue())
    facts = (
        load_facts([person.address for person in events_by_address.values()])
        if events_by_address
        else []
    )
    states = run_autocommit(
        lambda c: verification.load_states_by_digest(
            c, destination.id, list(events_by_address), now
        )
    )
    found = {}
    for (key, person), known in zip(events_by_address.items(), facts, strict=True):
        sent = topics.get(person.address.channel, frozenset())
        wanted = frozenset(active_suppressions(sent, known, now, can_lift=can_lift))
        found[key] = AddressContext(known, sent, wanted, states.get(key))
    return found


def plan_ingest(
    destination: Destination,
    capabilities: Capabilities,
    events_by_address: Mapping[AddressKey, AddressEvents],
    contexts: Mapping[AddressKey, AddressContext],
    policy: DeliverabilityPolicy,
    *,
    is_full_list: bool = False,
) -> IngestPlan:
    """What is to be done.

    `whole`: it comes of a list of all that is off now, which is no history, whatever its dates.
    """
    now, things, work = services().now(), topics_by_target(destination), IngestPlan()
    can_ask = capabilities.can_read and destination.status is DestinationStatus.ACTIVE
    for key, person in events_by_address.items():
        spot, seen = contexts[key], person.snapshot
        news = [*person.events, *_implied_events(destination, capabilities, seen, spot)]
        judged = [
            (each, classify_event(each, spot, things, policy, now, can_read=can_ask))
            for each in news
        ]
        _add_evaluated(work, destination, key, person, judged, spot.facts)
        own = [
            each
            for each, judgement in judged
            if judgement.action is EventAction.RECORD or not may_predate_push(each, spot.state, now)
        ]
        shows = frozenset[str]()
        if seen and seen.off and not may_predate_push(None, spot.state, now):
            shows = seen.off & spot.topics
        work.turned_off[key] = topics_off_in_tool(own, spot, things) | shows
        work.turned_on[key] = _turned_on_again(seen, spot, now)
        switch = latest_all_off(person.events, seen, now, is_full_list=is_full_list)
        if switch is not None and switch != is_all_off(spot.state):
            work.all_off[key] = switch
        now_off = [
            each
            for each in news
            if not may_predate_push(each, spot.state, now)
            and (is_full_list or not is_outdated(each, now))
        ]
        work.still_off[key] = topics_off_in_tool(now_off, spot, things) | shows
        shown = [
            each for each, judgement in judged if judgement.action is EventAction.CHECK_CONTACT
        ]
        if shown and not seen:
            seen = ContactSnapshot(shown[0].address, shown[0].channel)
        if seen:
            need = follow_up_for(seen, spot, now, can_read=capabilities.can_read)
            mails_again = any(is_unwanted_resubscribe(each, spot, things, now) for each in news)
            if mails_again and need not in {FollowUp.PUSH_NOW, FollowUp.PUSH_FIRST_TIME}:
                need = FollowUp.REPAIR_DRIFT
            work.follow_ups[need].append(key)
        work.stats += VerificationStats(
            contacts=person.snapshot is not None, reported=len(person.events)
        )
    needs = work.follow_ups
    work.stats += VerificationStats(
        newly_suppressed=len(needs[FollowUp.PUSH_FIRST_TIME]) + len(needs[FollowUp.REPUSH]),
        drift=len(needs[FollowUp.REPAIR_DRIFT]),
    )
    return work


def _add_evaluated(
    plan: IngestPlan,
    destination: Destination,
    key: AddressKey,
    address_events: AddressEvents,
    evaluated: Sequence[tuple[VendorEvent, Evaluation]],
    facts: Sequence[ScopeFact],
) -> None:
    """Put what was judged of one person to what is to be done."""
    now = services().now()
    changes: dict[object, Change] = {}
    for each, judgement in evaluated:
        match judgement.action:
            case EventAction.RECORD if each.bounce is not None:
                acted = _occurred_at(each, judgement, facts, now)
                plan.bounces.append(
                    _build_bounce_report(destination, address_events, each, each.bounce, acted, now)
                )
            case EventAction.RECORD:
                acted = _occurred_at(each, judgement, facts, now)
                change = _build_change(destination, address_events, each, judgement, acted, now)
                # Without a date or an id of its own, saying it twice is saying it once.
                once = (
                    (change.kind, change.scope) if not (each.id or each.occurred_at) else change.id
                )
                changes.setdefault(once, change)
            case EventAction.READ_BACK:
                plan.follow_ups[FollowUp.READ_BACK_LATER].append(key)
            case EventAction.UNMAPPED:
                plan.stats += VerificationStats(unmapped=1)
    plan.changes += changes.values()


def _turned_on_again(
    snapshot: ContactSnapshot | None, context: AddressContext, now: datetime
) -> frozenset[str]:
    """What is on in the tool though we had turned it off, and need not be off any more.

    Only its own doing can have turned it on while nothing waits to be lifted there. Once it is
    off again, that is a person's act, and no echo of ours (I13).
    """
    state = context.state
    if snapshot is None or snapshot.off is None or state is None or state.push_pending:
        return frozenset()
    if may_predate_push(None, state, now):
        return frozenset()
    return (state.turned_off & context.topics) - snapshot.off - context.wanted


def _implied_events(
    destination: Destination,
    capabilities: Capabilities,
    snapshot: ContactSnapshot | None,
    context: AddressContext,
) -> list[VendorEvent]:
    """What a contact's state says beyond what must be off there."""
    if snapshot is None:
        return []
    if snapshot.all_off:
        return [
            VendorEvent(
                VendorEventKind.OPTED_OUT,
                snapshot.address,
                channel=snapshot.channel,
                unsubscribed_from_all=True,
            )
        ]
    if not snapshot.off or not capabilities.off_means_opt_out:
        return []
    if context.topics <= snapshot.off and is_all_off(context.state):
        return []
    extra = sorted((snapshot.off & context.topics) - context.wanted)
    things = [destination.mapping.get(topic, topic) for topic in extra]
    return [
        VendorEvent(VendorEventKind.OPTED_OUT, snapshot.address, thing, channel=snapshot.channel)
        for thing in things
    ]


def _build_change(
    destination: Destination,
    address_events: AddressEvents,
    event: VendorEvent,
    evaluation: Evaluation,
    occurred_at: datetime | None,
    now: datetime,
) -> Change:
    """The event; without a plausible date the act counts from when it reached us (I5)."""
    received_at = event.received_at or now
    return Change(
        id=_event_id(destination, address_events.address, event),
        kind=evaluation.kind,
        address=address_events.address,
        scope=evaluation.scope,
        occurred_at=occurred_at or received_at,
        received_at=received_at,
        source=DESTINATION_SOURCE,
        actor=destination.name,
        evidence=_evidence(destination, event, occurred_at),
    )


def _occurred_at(
    event: VendorEvent, evaluation: Evaluation, facts: Sequence[ScopeFact], now: datetime
) -> datetime | None:
    """When the person acted; None if the tool's date can't be right (I5)."""
    opted_in = newest_opt_in(evaluation.scope, facts, any_form=True)
    return plausible_occurred_at(event, now, opted_in.at if opted_in else None)


def _build_bounce_report(
    destination: Destination,
    address_events: AddressEvents,
    event: VendorEvent,
    bounce: Bounce,
    occurred_at: datetime | None,
    now: datetime,
) -> BounceReport:
    received_at = event.received_at or now
    return BounceReport(
        id=_event_id(destination, address_events.address, event),
        address=address_events.address,
        bounce=bounce,
        bounced_at=occurred_at or received_at,
        received_at=received_at,
        source=DESTINATION_SOURCE,
        actor=destination.name,
        evidence=_evidence(destination, event, occurred_at),
    )


def _evidence(
    destination: Destination, event: VendorEvent, occurred_at: datetime | None
) -> dict[str, str]:
    evidence = {"tool": destination.kind}
    if event.occurred_at is not None and occurred_at is None:
        evidence["implausible_date"] = event.occurred_at.isoformat()
    if event.target is not None:
        evidence["group"] = event.target[:200]
    if event.id:
        evidence["id"] = event.id[:200]
    return evidence


def _event_id(destination: Destination, address: Address, event: VendorEvent) -> UUID:
    """The same for the same act, however often it is told: by its id there, or its moment.

    A bounce without either is one a day where a webhook tells it, and one for ever in a list
    that is read again and again: it may be counted, so it must not add up by itself.
    """
    who = services().keys.exact_digest(address).hex()
    if event.id or event.occurred_at is not None:
        # With who it is: nobody's act is another's, whatever a tool calls it.
        act = f"{who} {event.id or f'{event.occurred_at} {event.kind} {event.target}'}"
    elif event.bounce is None:
        return services().new_id()
    else:
        told_on = event.received_at.astimezone(UTC).date() if event.received_at else "listed"
        act = f"{who} {told_on} {event.bounce.status} {event.bounce.reply_code}"
    return uuid5(_EVENT_ID_NAMESPACE, f"{destination.id} {act}")
