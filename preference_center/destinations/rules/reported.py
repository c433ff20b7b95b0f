"""These rules plan what follows from the events and contacts that a tool reports (I5, I13).

They say what to record, and what to do. A page of a listing and a batch of webhooks are planned
alike, one address at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import assert_never
from uuid import UUID, uuid5

from preference_center.core.addresses import Address
from preference_center.core.bounces import Bounce, BounceReport, DeliverabilityPolicy
from preference_center.core.events import (
    DESTINATION_SOURCE,
    RESERVED_SCOPES,
    SHARING,
    Change,
    ScopeFact,
)
from preference_center.decisions.rules import newest_opt_in
from preference_center.destinations.rules.classify import (
    PROPAGATION_DELAY,
    AddressContext,
    Evaluation,
    EventAction,
    classify_event,
    is_all_off,
    is_outdated,
    is_unwanted_resubscribe,
    latest_all_off,
    may_predate_push,
    plausible_occurred_at,
    topics_by_target,
    topics_off_in_tool,
)
from preference_center.destinations.rules.follow_ups import FollowUp, follow_up_for
from preference_center.destinations.rules.states import (
    Destination,
    DestinationStatus,
    VerificationStats,
)
from preference_center.integrations.base.contract import Capabilities, ContactSnapshot
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind

_EVENT_ID_NAMESPACE = UUID("b9c1f7c6-3f51-4d0b-9a8e-5b0d6f1c2a33")
"""Namespace of the ids of events that are made from a vendor's own ids."""
_MAX_EVIDENCE_LENGTH = 200

AddressKey = tuple[bytes, str]
"""Exact digest and channel of an address."""


@dataclass(slots=True)
class AddressEvents:
    """What a page or a batch reports about one address."""

    address: Address
    raw_address: str
    """The address as the tool writes it."""
    events: list[VendorEvent] = field(default_factory=list)
    snapshot: ContactSnapshot | None = None
    earlier_digests: Sequence[bytes] = ()
    """The exact digests that the address had with fewer digest keys."""


@dataclass(slots=True)
class IngestPlan:
    """What to record and to do about a page or a batch."""

    changes: list[Change] = field(default_factory=list)
    bounces: list[BounceReport] = field(default_factory=list)
    """Bounces with details: the policy decides which of them suppress."""
    turned_off: dict[AddressKey, frozenset[str]] = field(default_factory=dict)
    """Topics that were turned off in the tool, and not by us."""
    still_off: dict[AddressKey, frozenset[str]] = field(default_factory=dict)
    """Of those, the topics that are certainly off now."""
    turned_on: dict[AddressKey, frozenset[str]] = field(default_factory=dict)
    """Topics that we had turned off there, and that somebody else turned on since."""
    all_off: dict[AddressKey, bool] = field(default_factory=dict)
    """The contact's switch for all, where it differs from what we knew: see
    `VendorEvent.unsubscribed_from_all`."""
    follow_ups: defaultdict[FollowUp, list[AddressKey]] = field(
        default_factory=lambda: defaultdict(list)
    )
    stats: VerificationStats = field(default_factory=VerificationStats)
    pushed: dict[int, str] = field(default_factory=dict)
    """Address id -> outcome of what was pushed while ingesting."""
    earlier_ids: dict[UUID, UUID] = field(default_factory=dict)
    """The id that an act had with fewer digest keys -> the one that is planned."""

    def keep_recorded_ids(self, recorded: Collection[UUID]) -> None:
        """Give acts that have these earlier ids in the ledger the same again."""
        ids = {self.earlier_ids[each]: each for each in recorded}
        self.changes = [replace(each, id=ids.get(each.id, each.id)) for each in self.changes]
        self.bounces = [replace(each, id=ids.get(each.id, each.id)) for each in self.bounces]


@dataclass(frozen=True, slots=True)
class IngestRules:
    """What decides about every address of one page or batch."""

    destination: Destination
    capabilities: Capabilities
    policy: DeliverabilityPolicy
    now: datetime
    new_id: Callable[[], UUID]
    is_full_list: bool = False
    """Whether the page belongs to a list of everything that is off now: its dates are then
    no history."""

    @property
    def can_read(self) -> bool:
        """Whether the tool may be asked what is off there."""
        active = self.destination.status is DestinationStatus.ACTIVE
        return self.capabilities.can_read and active


def plan_ingest(
    rules: IngestRules,
    events_by_address: Mapping[AddressKey, AddressEvents],
    contexts: Mapping[AddressKey, AddressContext],
) -> IngestPlan:
    """Plan a page or a batch. `contexts` holds one context for each address."""
    plan, target_topics = IngestPlan(), topics_by_target(rules.destination)
    for key, address_events in events_by_address.items():
        planner = _AddressPlanner(rules, plan, target_topics, key, address_events, contexts[key])
        planner.add_to_plan()
    keys = plan.follow_ups
    plan.stats += VerificationStats(
        newly_suppressed=len(keys[FollowUp.PUSH_FIRST_TIME]) + len(keys[FollowUp.REPUSH]),
        drift=len(keys[FollowUp.REPAIR_DRIFT]),
    )
    return plan


def is_shown_since(
    topics: frozenset[str], facts: Sequence[ScopeFact], reported: Collection[UUID], now: datetime
) -> bool:
    """Whether what a tool shows or reports now is newer than each opt-out of these topics (I3).

    It may be up to PROPAGATION_DELAY old. Who has turned a topic on there meanwhile, and then
    opted out elsewhere, is still mailed. `reported` are the opt-outs that the tool reports itself.
    """
    scopes = topics | (RESERVED_SCOPES - {SHARING})
    states = [fact.state for fact in facts if fact.scope in scopes]
    found = [each for state in states for each in (state.opt_out, state.pause) if each]
    return all(each.event in reported or now - each.at >= PROPAGATION_DELAY for each in found)


@dataclass(frozen=True, slots=True)
class _AddressPlanner:
    """Adds to a plan what follows from what is reported about one address."""

    rules: IngestRules
    plan: IngestPlan
    target_topics: Mapping[str, str]
    key: AddressKey
    reported: AddressEvents
    context: AddressContext

    def add_to_plan(self) -> None:
        snapshot = self.reported.snapshot
        events = [*self.reported.events, *self._implied_events()]
        evaluated = [(event, self._classify(event)) for event in events]
        self._add_changes(evaluated)
        self._add_topics(evaluated)
        self._add_all_off()
        self._add_follow_up(evaluated)
        self.plan.stats += VerificationStats(
            contacts=snapshot is not None, reported=len(self.reported.events)
        )

    def _classify(self, event: VendorEvent) -> Evaluation:
        rules = self.rules
        return classify_event(
            event,
            self.context,
            self.target_topics,
            rules.policy,
            rules.now,
            can_read=rules.can_read,
        )

    def _may_predate_push(self, event: VendorEvent | None) -> bool:
        return may_predate_push(event, self.context.state, self.rules.now)

    def _implied_events(self) -> list[VendorEvent]:
        """The opt-outs that a contact's state implies, beyond what we want off there."""
        snapshot, context, destination = (
            self.reported.snapshot,
            self.context,
            self.rules.destination,
        )
        if snapshot is None:
            return []
        if snapshot.all_off:
            return [_opt_out(snapshot, unsubscribed_from_all=True)]
        if not snapshot.off or not self.rules.capabilities.off_means_opt_out:
            return []
        if context.topics <= snapshot.off and is_all_off(context.state):
            return []
        extra = sorted((snapshot.off & context.topics) - context.wanted)
        return [_opt_out(snapshot, destination.mapping.get(topic, topic)) for topic in extra]

    def _add_changes(self, evaluated: Sequence[tuple[VendorEvent, Evaluation]]) -> None:
        plan, changes = self.plan, dict[object, Change]()
        for event, evaluation in evaluated:
            match evaluation.action:
                case EventAction.RECORD if event.bounce is not None:
                    plan.bounces.append(self._build_bounce_report(event, event.bounce, evaluation))
                case EventAction.RECORD:
                    change = self._build_change(event, evaluation)
                    # Without a date or an id of its own, two reports of it are one.
                    has_identity = event.id or event.occurred_at
                    once = change.id if has_identity else (change.kind, change.scope)
                    changes.setdefault(once, change)
                case EventAction.READ_BACK:
                    plan.follow_ups[FollowUp.READ_BACK_LATER].append(self.key)
                case EventAction.UNMAPPED:
                    plan.stats += VerificationStats(unmapped=1)
                case EventAction.ALREADY_KNOWN | EventAction.ECHO | EventAction.CHECK_CONTACT:
                    pass
                case _:
                    assert_never(evaluation.action)
        plan.changes += changes.values()

    def _add_topics(self, evaluated: Sequence[tuple[VendorEvent, Evaluation]]) -> None:
        plan, context, rules = self.plan, self.context, self.rules
        shown = self._topics_shown_off()
        own = [
            event
            for event, evaluation in evaluated
            if evaluation.action is EventAction.RECORD or not self._may_predate_push(event)
        ]
        plan.turned_off[self.key] = topics_off_in_tool(own, context, self.target_topics) | shown
        current = [
            event
            for event, _ in evaluated
            if not self._may_predate_push(event)
            and (rules.is_full_list or not is_outdated(event, rules.now))
        ]
        plan.still_off[self.key] = topics_off_in_tool(current, context, self.target_topics) | shown
        plan.turned_on[self.key] = self._topics_turned_on_again()

    def _topics_shown_off(self) -> frozenset[str]:
        snapshot = self.reported.snapshot
        if not snapshot or not snapshot.off or self._may_predate_push(None):
            return frozenset()
        return snapshot.off & self.context.topics

    def _topics_turned_on_again(self) -> frozenset[str]:
        """Topics that we had turned off, that are on in the tool and need not be off any more.

        As nothing waits to be lifted there, somebody else turned them on. Once they are off
        again, that is the person's act, and no echo of ours (I13).
        """
        snapshot, state = self.reported.snapshot, self.context.state
        if snapshot is None or snapshot.off is None or state is None or state.push_pending:
            return frozenset()
        if self._may_predate_push(None):
            return frozenset()
        return (state.turned_off & self.context.topics) - snapshot.off - self.context.wanted

    def _add_all_off(self) -> None:
        rules, reported = self.rules, self.reported
        all_off = latest_all_off(
            reported.events, reported.snapshot, rules.now, is_full_list=rules.is_full_list
        )
        if all_off is not None and all_off != is_all_off(self.context.state):
            self.plan.all_off[self.key] = all_off

    def _add_follow_up(self, evaluated: Sequence[tuple[VendorEvent, Evaluation]]) -> None:
        rules, context, snapshot = self.rules, self.context, self.reported.snapshot
        if snapshot is None:
            contacts = [
                event
                for event, evaluation in evaluated
                if evaluation.action is EventAction.CHECK_CONTACT
            ]
            if not contacts:
                return
            snapshot = ContactSnapshot(contacts[0].address, contacts[0].channel)
        follow_up = follow_up_for(
            snapshot, context, rules.now, can_read=rules.capabilities.can_read
        )
        mails_again = any(
            is_unwanted_resubscribe(event, context, self.target_topics, rules.now)
            for event, _ in evaluated
        )
        if mails_again and follow_up not in {FollowUp.PUSH_NOW, FollowUp.PUSH_FIRST_TIME}:
            follow_up = FollowUp.REPAIR_DRIFT
        self.plan.follow_ups[follow_up].append(self.key)

    def _occurred_at(self, event: VendorEvent, evaluation: Evaluation) -> datetime | None:
        """When the person acted; None if the tool's date can't be right (I5).

        What they opted in to after it was received says nothing of its date.
        """
        opted_in = newest_opt_in(
            evaluation.scope, self.context.facts, any_form=True, until=event.received_at
        )
        return plausible_occurred_at(event, self.rules.now, opted_in.at if opted_in else None)

    def _build_change(self, event: VendorEvent, evaluation: Evaluation) -> Change:
        """The event; without a plausible date the act counts from its receipt (I5)."""
        received_at = event.received_at or self.rules.now
        occurred_at = self._occurred_at(event, evaluation)
        return Change(
            id=self._event_id(event),
            kind=evaluation.kind,
            address=self.reported.address,
            scope=evaluation.scope,
            occurred_at=occurred_at or received_at,
            received_at=received_at,
            source=DESTINATION_SOURCE,
            actor=self.rules.destination.name,
            evidence=self._evidence(event, occurred_at),
        )

    def _build_bounce_report(
        self, event: VendorEvent, bounce: Bounce, evaluation: Evaluation
    ) -> BounceReport:
        received_at = event.received_at or self.rules.now
        occurred_at = self._occurred_at(event, evaluation)
        return BounceReport(
            id=self._event_id(event),
            address=self.reported.address,
            bounce=bounce,
            bounced_at=occurred_at or received_at,
            received_at=received_at,
            source=DESTINATION_SOURCE,
            actor=self.rules.destination.name,
            evidence=self._evidence(event, occurred_at),
        )

    def _evidence(self, event: VendorEvent, occurred_at: datetime | None) -> dict[str, str]:
        evidence = {"tool": self.rules.destination.kind}
        if event.occurred_at is not None and occurred_at is None:
            evidence["implausible_date"] = event.occurred_at.isoformat()
        if event.target is not None:
            evidence["group"] = event.target[:_MAX_EVIDENCE_LENGTH]
        if event.id:
            evidence["id"] = event.id[:_MAX_EVIDENCE_LENGTH]
        return evidence

    def _event_id(self, event: VendorEvent) -> UUID:
        """The same id for the same act, however often it is reported: by its id, or its time.

        The digest in it is of the keys in use: the plan has the ids of before a rotation, too.
        """
        act = self._act(event)
        if act is None:
            return self.rules.new_id()
        event_id = self._id_of(self.key[0], act)
        for digest in self.reported.earlier_digests:
            self.plan.earlier_ids[self._id_of(digest, act)] = event_id
        return event_id

    def _id_of(self, digest: bytes, act: str) -> UUID:
        # The digest is in each id: acts of two people differ, whatever their ids.
        name = f"{self.rules.destination.id} {digest.hex()} {act}"
        return uuid5(_EVENT_ID_NAMESPACE, name)

    def _act(self, event: VendorEvent) -> str | None:
        """What an act of this address is recognised by; None if each report is one of its own.

        A bounce without an id or a time is one a day if a webhook reports it, and one for ever in a
        list that is read repeatedly: it may be counted, so it must not add up by itself.
        """
        if event.id or event.occurred_at is not None:
            return event.id or f"{event.occurred_at} {event.kind} {event.target}"
        if event.bounce is None:
            return None
        day = event.received_at.astimezone(UTC).date() if event.received_at else "listed"
        return f"{day} {event.bounce.status} {event.bounce.reply_code}"


def _opt_out(
    snapshot: ContactSnapshot,
    target: str | None = None,
    *,
    unsubscribed_from_all: bool | None = None,
) -> VendorEvent:
    return VendorEvent(
        VendorEventKind.OPTED_OUT,
        snapshot.address,
        target,
        channel=snapshot.channel,
        unsubscribed_from_all=unsubscribed_from_all,
    )
