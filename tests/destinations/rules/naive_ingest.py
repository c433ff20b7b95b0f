"""What follows from a tool's report, written as plainly as the rules state it, however slow.

Nothing here calls a rule of the service: `test_naive_ingest.py` compares both on random reports.
A report is all that a page or a batch says about one address.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from preference_center.core.bounces import ComplaintStops
from preference_center.core.events import ALL_MARKETING, SHARING, UNDELIVERABLE, EventKind
from preference_center.destinations.rules.classify import AddressContext
from preference_center.destinations.rules.follow_ups import FollowUp
from preference_center.destinations.rules.reported import AddressEvents, IngestRules
from preference_center.destinations.rules.states import DestinationStatus
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from tests.destinations.rules.naive_facts import is_all_stopped, is_opted_out, was_opted_in

Kind = VendorEventKind
KINDS = {
    Kind.OPTED_OUT: EventKind.OPTED_OUT,
    Kind.COMPLAINED: EventKind.COMPLAINED,
    Kind.BOUNCED: EventKind.BOUNCED,
}
"""What is recorded of a vendor event; nothing of the other kinds, whatever they say (I5)."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One event that is recorded, or one bounce that the policy is asked about."""

    kind: EventKind
    scope: str
    occurred_at: datetime
    received_at: datetime
    evidence: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a plan should hold."""

    changes: list[Recorded]
    bounces: list[Recorded]
    unmapped: int
    turned_off: frozenset[str]
    still_off: frozenset[str]
    turned_on: frozenset[str]
    all_off: bool | None
    follow_ups: Counter[FollowUp]


@dataclass(frozen=True, slots=True)
class Report:
    """One report, and what is known of its address."""

    rules: IngestRules
    reported: AddressEvents
    context: AddressContext

    def expected(self) -> Expected:
        return Expected(
            changes=list(self._changes()),
            bounces=[
                self._recorded(each)
                for each in self._events()
                if each.bounce is not None and self._is_recorded(each)
            ],
            unmapped=sum(self._is_unmapped(each) for each in self._events()),
            turned_off=self._turned_off(),
            still_off=self._still_off(),
            turned_on=self._turned_on(),
            all_off=self._new_all_off(),
            follow_ups=self._follow_ups(),
        )

    # What the tool says.

    def _events(self) -> list[VendorEvent]:
        return [*self.reported.events, *self._implied()]

    def _implied(self) -> Iterator[VendorEvent]:
        """A contact that is shown as off says the same as an opt-out of it without a date."""
        contact = self.reported.snapshot
        if contact is None:
            return
        if contact.all_off:
            yield VendorEvent(Kind.OPTED_OUT, contact.address, unsubscribed_from_all=True)
        elif self.rules.capabilities.off_means_opt_out and contact.off:
            # Decision 36: the switch for all shows every topic as off, and is known.
            if self._known_all_off() and self.context.topics <= contact.off:
                return
            for topic in sorted(self.context.topics):
                if topic in contact.off and topic not in self.context.wanted:
                    yield VendorEvent(Kind.OPTED_OUT, contact.address, self._target(topic))

    def _target(self, topic: str) -> str:
        return self.rules.destination.mapping.get(topic, topic)

    def _topic(self, target: str | None) -> str | None:
        for topic in self.rules.destination.sends:
            if self._target(topic) == target:
                return topic
        return None

    def _named(self, event: VendorEvent) -> str | None:
        """The scope that the target of the event names; None if it means nothing to us (I10)."""
        topic = self._topic(event.target)
        if topic is None and event.target in {None, "audience", "email", "sms"}:
            return ALL_MARKETING
        return topic

    def _scope(self, event: VendorEvent) -> str | None:
        if event.kind is Kind.BOUNCED:
            return UNDELIVERABLE
        if event.kind is Kind.COMPLAINED:
            topic = self._topic(event.target)
            by_topic = self.rules.policy.complaints_stop is ComplaintStops.TOPIC
            return topic if by_topic and topic and topic != SHARING else ALL_MARKETING
        return self._named(event)

    def _is_unmapped(self, event: VendorEvent) -> bool:
        return event.kind in KINDS and self._scope(event) is None

    # When it was.

    def _date(self, event: VendorEvent) -> datetime | None:
        """The tool's date, unless it can't be right: foreign clocks are not trusted (I5)."""
        at, received = event.occurred_at, event.received_at
        if at is None:
            return None
        if received is None:
            return at if datetime(2000, 1, 1, tzinfo=UTC) <= at <= self.rules.now else None
        return at if timedelta(0) <= received - at <= timedelta(days=3) else None

    def _own_date(self, event: VendorEvent, scope: str) -> datetime | None:
        """The same; of a webhook only where it does not claim to be older than an opt-in."""
        at, received = self._date(event), event.received_at
        if at is None or received is None:
            return at
        is_late = was_opted_in(
            self.context.facts, scope, after=at + timedelta(minutes=15), until=received
        )
        return None if is_late else at

    def _may_be_from_before_our_push(self, event: VendorEvent | None = None) -> bool:
        """A tool may show its state of before a push for ten minutes."""
        state = self.context.state
        if state is None or state.last_push_at is None:
            return False
        at = self.rules.now
        if event is not None:
            at = self._date(event) or event.received_at or at
        return at < state.last_push_at + timedelta(minutes=10)

    def _is_old(self, event: VendorEvent) -> bool:
        """The tool may show something else by now; a list of what is off now is never old."""
        if self.rules.is_full_list or not (event.occurred_at or event.received_at):
            return False
        at = self._date(event)
        return at is None or at < self.rules.now - timedelta(minutes=10)

    # What is recorded.

    def _is_recorded(self, event: VendorEvent) -> bool:
        return self._is_new(event) and not self._must_be_asked_for(event)

    def _is_new(self, event: VendorEvent) -> bool:
        """I13: every opt-out is, unless it is known or our own push."""
        scope = self._scope(event)
        if event.kind not in KINDS or scope is None:
            return False
        if event.by_person and (event.id or event.occurred_at):
            return True
        if is_opted_out(self.context.facts, scope, but_for=self._imported_before(event)):
            return False
        if event.unsubscribed_from_all:  # which no push of ours changes: decision 36
            is_dated = event.occurred_at and not self._may_be_from_before_our_push(event)
            return bool(is_dated) or not self._known_all_off()
        return not (self._may_be_a_push(event) and self._is_off_by_us(scope))

    def _imported_before(self, event: VendorEvent) -> set[UUID]:
        """What an import recorded before this act: its undo must not take the act with it."""
        at = event.received_at or self._date(event)
        found = [fact.state.opt_out for fact in self.context.facts if fact.state.opt_out]
        return {
            each.event
            for each in found
            if each.event in self.context.imported
            if at and each.at < at
        }

    def _may_be_a_push(self, event: VendorEvent) -> bool:
        return (
            event.kind is Kind.OPTED_OUT and not event.by_person and not event.unsubscribed_from_all
        )

    def _must_be_asked_for(self, event: VendorEvent) -> bool:
        """It may show what we had turned off and on again, and the tool can be asked."""
        return (
            self._may_be_a_push(event)
            and not is_opted_out(self.context.facts, self._scope(event) or "")
            and self.rules.capabilities.can_read
            and self.rules.destination.status is DestinationStatus.ACTIVE
            and self._may_be_from_before_our_push(event)
            and (self._scope(event) != ALL_MARKETING or self._may_have_been_all_off_by_us())
        )

    def _known_all_off(self) -> bool:
        """The tool last showed its switch for all as off, and has not lost the contact since."""
        state = self.context.state
        if state is None or state.last_outcome == "absent":
            return False
        return ALL_MARKETING in state.turned_off

    def _is_off_by_us(self, scope: str) -> bool:
        """All that it covers is off there by our pushes, or is to be."""
        state, topics = self.context.state, self.context.topics
        if state is None or not state.has_row:
            return False
        if scope == ALL_MARKETING:
            return topics != frozenset() and all(each in state.turned_off for each in topics)
        if is_opted_out(self.context.facts, scope):  # by what may be undone: see `_is_new`
            return scope in state.turned_off
        return scope in state.turned_off or scope in self.context.wanted

    def _may_have_been_all_off_by_us(self) -> bool:
        state = self.context.state
        if state is None:
            return False
        is_done = not any(each in self.context.wanted for each in state.turned_off)
        return is_all_stopped(self.context.facts) or is_done

    def _changes(self) -> Iterator[Recorded]:
        """Each act once: the same id, else the same time, kind and target, is the same act.

        Without an id and a time nothing tells two reports of one scope apart.
        """
        seen = set()
        for event in self._events():
            if event.bounce is None and self._is_recorded(event):
                act: object = ("undated", event.kind, self._scope(event))
                if event.id:
                    act = ("id", event.id)
                elif event.occurred_at:
                    act = (event.occurred_at, event.kind, event.target)
                if act not in seen:
                    seen.add(act)
                    yield self._recorded(event)

    def _recorded(self, event: VendorEvent) -> Recorded:
        scope = self._scope(event)
        assert scope is not None
        received = event.received_at or self.rules.now
        at = self._own_date(event, scope)
        evidence = {"tool": self.rules.destination.kind}
        if event.occurred_at and at is None:
            evidence["implausible_date"] = event.occurred_at.isoformat()
        if event.target is not None:
            evidence["group"] = event.target
        if event.id:
            evidence["id"] = event.id
        return Recorded(KINDS[event.kind], scope, at or received, received, evidence)

    # What is off in the tool.

    def _turned_off(self) -> frozenset[str]:
        """Topics that are off there, and not by us."""
        events = [
            each
            for each in self._events()
            if self._is_recorded(each) or not self._may_be_from_before_our_push(each)
        ]
        return self._topics_of(events) | self._shown_off()

    def _still_off(self) -> frozenset[str]:
        """Topics that are certainly off there now."""
        events = [
            each
            for each in self._events()
            if not self._may_be_from_before_our_push(each) and not self._is_old(each)
        ]
        return self._topics_of(events) | self._shown_off()

    def _turned_on(self) -> frozenset[str]:
        """Topics that we had turned off, and that are on there without our doing."""
        contact, state = self.reported.snapshot, self.context.state
        if contact is None or contact.off is None or state is None or state.push_pending:
            return frozenset()
        return frozenset(
            topic
            for topic in self.context.topics
            if topic in state.turned_off
            and topic not in contact.off
            and topic not in self.context.wanted
            and not self._may_be_from_before_our_push()
        )

    def _topics_of(self, events: list[VendorEvent]) -> frozenset[str]:
        return frozenset(
            topic
            for topic in self.context.topics
            for event in events
            if event.kind is Kind.OPTED_OUT and self._named(event) in {topic, ALL_MARKETING}
        )

    def _shown_off(self) -> frozenset[str]:
        contact = self.reported.snapshot
        if contact is None or contact.off is None or self._may_be_from_before_our_push():
            return frozenset()
        return contact.off & self.context.topics

    def _new_all_off(self) -> bool | None:
        """The tool's switch for all, if it is another than we knew: the last that was shown."""
        shown = [
            each.unsubscribed_from_all
            for each in self.reported.events
            if each.unsubscribed_from_all is not None
            if not (each.unsubscribed_from_all and self._is_old(each))
        ]
        contact = self.reported.snapshot
        if contact is not None and contact.all_off is not None:
            shown.append(contact.all_off)
        return shown[-1] if shown and shown[-1] != self._known_all_off() else None

    # What is done about it.

    def _follow_ups(self) -> Counter[FollowUp]:
        asked = sum(self._is_new(each) and self._must_be_asked_for(each) for each in self._events())
        found = Counter({FollowUp.READ_BACK_LATER: asked})
        found[self._follow_up()] += 1
        del found[FollowUp.NONE]
        return +found

    def _follow_up(self) -> FollowUp:
        """What the contact needs, so that all is off there that must be (I13)."""
        is_there = self.reported.snapshot or any(each.kind not in KINDS for each in self._events())
        if not is_there:
            return FollowUp.NONE
        found = self._follow_up_of_contact()
        if found in {FollowUp.PUSH_NOW, FollowUp.PUSH_FIRST_TIME}:
            return found
        if any(self._mails_again(each) for each in self._events()):
            return FollowUp.REPAIR_DRIFT
        return found

    def _follow_up_of_contact(self) -> FollowUp:
        state, wanted = self.context.state, self.context.wanted
        if not wanted or (state and state.push_pending):
            return FollowUp.NONE
        if state and state.erased and not state.readable:
            return FollowUp.PUSH_NOW
        if state is None or not state.has_row:
            return FollowUp.PUSH_FIRST_TIME
        if state.last_outcome != "reflected":
            return FollowUp.REPUSH
        return self._follow_up_of_pushed_contact(state.last_delivery_at)

    def _follow_up_of_pushed_contact(self, delivered_at: datetime | None) -> FollowUp:
        age = self.rules.now - delivered_at if delivered_at else timedelta.max
        if age < timedelta(minutes=10):
            return FollowUp.NONE  # the contact changed by our own push
        contact = self.reported.snapshot
        if contact is not None and contact.off is not None:
            return FollowUp.REPAIR_DRIFT if self.context.wanted - contact.off else FollowUp.NONE
        if self.rules.capabilities.can_read:
            return FollowUp.READ_BACK_NOW
        return FollowUp.REPUSH if age >= timedelta(days=1) else FollowUp.NONE

    def _mails_again(self, event: VendorEvent) -> bool:
        """The tool turned on what must be off, and nothing was delivered since (I5)."""
        if event.kind is not Kind.RESUBSCRIBED:
            return False
        scope, at = self._named(event), self._date(event)
        if not (scope in self.context.wanted or (scope == ALL_MARKETING and self.context.wanted)):
            return False
        delivered_at = self.context.state.last_delivery_at if self.context.state else None
        return at is None or delivered_at is None or delivered_at < at
