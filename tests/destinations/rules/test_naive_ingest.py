"""The plan of what a tool reports is that of a naive model, for random reports (I5, I13)."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.bounces import Bounce, ComplaintStops, DeliverabilityPolicy
from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    RESTRICTION,
    SHARING,
    UNDELIVERABLE,
    EventKind,
    ScopeFact,
    ScopeState,
    Timestamped,
    is_valid_scope,
)
from preference_center.destinations.rules.classify import AddressContext
from preference_center.destinations.rules.follow_ups import FollowUp
from preference_center.destinations.rules.reported import AddressEvents, IngestRules, plan_ingest
from preference_center.destinations.rules.states import AddressSyncState, DestinationStatus
from preference_center.integrations.base.contract import ContactSnapshot
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from tests.core.histories import NEWS, NOW, OFFERS
from tests.destinations.rules.naive_ingest import Expected, Recorded, Report
from tests.destinations.rules.reports import ANNA, DESTINATION, key_of, rules_for

# At the limits of ten minutes, a quarter of an hour, a day and three days; and none that can be.
PAST = [
    NOW - timedelta(minutes=minutes)
    for minutes in (0, 1, 9, 10, 11, 15, 16, 30, 60, 1439, 1440, 1441, 4319, 4320, 4321, 9000)
]
DATES = [*PAST, NOW + timedelta(minutes=1), datetime(1999, 12, 31, tzinfo=UTC)]
TOPICS = [NEWS, OFFERS, SHARING]
MAPPINGS = [{}, {NEWS: "11"}, {NEWS: "audience"}, {NEWS: "email"}, {NEWS: "11", SHARING: "12"}]
TARGETS = [None, "11", "12", "13", NEWS, OFFERS, SHARING, "audience", "email", "sms"]
EVENT_KINDS = [kind for kind in VendorEventKind if kind is not VendorEventKind.UNKNOWN_TYPE]
EVENT_KINDS += [VendorEventKind.OPTED_OUT] * 3
SCOPES = [*TOPICS, ALL_MARKETING, EVERYTHING, RESTRICTION, UNDELIVERABLE]
IDS = [UUID(int=number) for number in range(1, 100)]
IMPORTED = IDS[::2]
OUTCOMES = [None, "reflected", "reflected", "reflected", "absent", "refused", "drift"]


class Reports:
    """Random reports, each of another destination, about an address of another history."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._ids = itertools.cycle(IDS)

    def report(self) -> Report:
        rules, random = self._rules(), self._random
        topics = rules.destination.sends if self._chance(0.8) else self._some(TOPICS[:1])
        context = AddressContext(
            facts=self._facts(),
            topics=topics,
            wanted=self._some(topics),
            state=self._state() if self._chance(0.8) else None,
            imported=frozenset(IMPORTED),
        )
        events = [self._event() for _ in range(random.randint(0, 3))]
        snapshot = self._snapshot() if self._chance(0.5) else None
        address = parse_address(ANNA, Channel.EMAIL)
        return Report(rules, AddressEvents(address, ANNA, events, snapshot), context)

    def _chance(self, probability: float = 0.5) -> bool:
        return self._random.random() < probability

    def _some(self, values: Collection[str]) -> frozenset[str]:
        return frozenset(each for each in sorted(values) if self._chance(0.6))

    def _date(self, dates: list[datetime]) -> datetime | None:
        return self._random.choice(dates) if self._chance(0.7) else None

    def _rules(self) -> IngestRules:
        mapping = self._random.choice(MAPPINGS)
        destination = replace(
            DESTINATION,
            sends=self._some(TOPICS) | mapping.keys() | {NEWS},
            mapping=mapping,
            status=self._random.choice(list(DestinationStatus)),
        )
        return rules_for(
            destination=destination,
            can_read=self._chance(),
            off_means_opt_out=self._chance(0.8),
            policy=DeliverabilityPolicy(complaints_stop=self._random.choice(list(ComplaintStops))),
            is_full_list=self._chance(0.3),
        )

    def _facts(self) -> list[ScopeFact]:
        """Of this form of the address, and of another."""
        return [
            self._fact(scope, exact=exact)
            for scope in SCOPES
            for exact in (True, False)
            if self._chance(0.2)
        ]

    def _fact(self, scope: str, *, exact: bool) -> ScopeFact:
        kinds = [kind for kind in EventKind if kind.suppresses and is_valid_scope(kind, scope)]
        out, lift = self._date(PAST), self._date(PAST)
        state = ScopeState(
            opt_out=Timestamped(out, next(self._ids)) if out else None,
            reason=self._random.choice(kinds) if out else None,
            lift=Timestamped(lift, UUID(int=2)) if lift and scope != UNDELIVERABLE else None,
        )
        return ScopeFact(scope, exact, state)

    def _state(self) -> AddressSyncState:
        return AddressSyncState(
            address_id=1,
            readable=self._chance(),
            erased=self._chance(0.2),
            has_row=self._chance(0.8),
            wanted_version=1,
            turned_off=self._some([*TOPICS, ALL_MARKETING]),
            push_pending=self._chance(0.3),
            last_outcome=self._random.choice(OUTCOMES),
            last_delivery_at=self._date(PAST),
            last_push_at=self._date(PAST),
        )

    def _event(self) -> VendorEvent:
        kind = self._random.choice(EVENT_KINDS)
        has_details = kind is VendorEventKind.BOUNCED and self._chance()
        return VendorEvent(
            kind=kind,
            address=ANNA,
            target=self._random.choice(TARGETS),
            occurred_at=self._date(DATES),
            id=self._random.choice(["", "", "a", "b"]),
            by_person=self._chance(0.3),
            bounce=Bounce(status="4.2.2") if has_details else None,
            received_at=self._date(PAST),
            unsubscribed_from_all=self._random.choice([None, None, None, True, False]),
        )

    def _snapshot(self) -> ContactSnapshot:
        return ContactSnapshot(
            ANNA,
            off=self._some(TOPICS) if self._chance(0.7) else None,
            all_off=self._random.choice([None, True, False]),
        )


def planned(report: Report) -> Expected:
    """What the service plans of it, in the words of the model."""
    key = key_of(ANNA)
    plan = plan_ingest(report.rules, {key: report.reported}, {key: report.context})
    follow_ups = Counter({each: len(keys) for each, keys in plan.follow_ups.items()})
    del follow_ups[FollowUp.NONE]
    return Expected(
        changes=[
            Recorded(each.kind, each.scope, each.occurred_at, each.received_at, each.evidence)
            for each in plan.changes
        ],
        bounces=[
            Recorded(
                EventKind.BOUNCED, UNDELIVERABLE, each.bounced_at, each.received_at, each.evidence
            )
            for each in plan.bounces
        ],
        unmapped=plan.stats.unmapped,
        turned_off=plan.turned_off[key],
        still_off=plan.still_off[key],
        turned_on=plan.turned_on[key],
        all_off=plan.all_off.get(key),
        follow_ups=+follow_ups,
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_a_plan_is_that_of_the_naive_model(seed: int) -> None:  # I5, I10, I13
    random = Reports(seed)
    reports = [random.report() for _ in range(5_000)]
    different = [each for each in reports if planned(each) != each.expected()]
    if different:
        shortest = min(different, key=lambda report: len(repr(report)))
        assert planned(shortest) == shortest.expected(), f"{seed=}: {len(different)}, {shortest}"
