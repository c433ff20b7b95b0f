"""Any history, in any order and cut up in any way: the service does what the model says."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preference_center.catalogue.store import current_catalogue
from preference_center.contacts.consents import ConsentStatus, state_consents
from preference_center.core.addresses import Address, Channel
from preference_center.core.deadlines import WINDOW
from preference_center.core.events import ScopeFact
from preference_center.decisions.rules import Decision, DecisionRule, Denial
from preference_center.decisions.rules import decide as decide_in_service
from preference_center.destinations.rules.delivery import active_suppressions
from preference_center.destinations.rules.plan import plan_push
from preference_center.destinations.rules.states import LANE_BEGINNING, SyncClaim
from preference_center.destinations.store import destinations
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.store.lookup import load_exact_facts, load_facts, load_facts_by_id
from tests.core.histories import NEWS, OFFERS
from tests.ledger.changes import id_of, waiting
from tests.reference.cases import CASES
from tests.reference.decisions import MessageType, Topic, decide
from tests.reference.events import Kind, form_of
from tests.reference.model import Model
from tests.reference.steps import (
    FORMS,
    NOW,
    Step,
    address_of,
    first_of_act,
    number_of,
    steps,
    to_change,
    to_events,
)
from tests.reference.wanted import Destination, Wanted, state

HISTORIES = int(os.environ.get("REFERENCE_HISTORIES", "15"))
"""How many; more to look further."""

TOPICS = (Topic(NEWS, opt_in=True), Topic(OFFERS))
MESSAGE_TYPES = {
    "newsletter.monthly": MessageType(TOPICS[0]),
    "offers.weekly": MessageType(TOPICS[1]),
    "invoice": MessageType(),
    "password_reset": MessageType(after_closing=True),
    "old.monthly": MessageType(Topic("acme.old", retired=True)),
}
DESTINATIONS = (
    Destination("news", TOPICS[:1]),
    Destination("both", TOPICS),
    Destination("one_way", TOPICS, can_lift=False),
)
TIMES = (NOW, NOW + timedelta(minutes=60))
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Recorded:
    """What was recorded, and the model of it."""

    history: Sequence[Step]
    model: Model

    def name_of(self, event: UUID) -> str:
        """The model's id of an event of the service; that of the first of repeats of one act."""
        return str(first_of_act(number_of(event), self.history))


@pytest.fixture(autouse=True)
def _tools(in_context: None) -> None:
    def insert(destination: Destination) -> None:
        run_in_transaction(
            lambda connection: destinations.insert_destination(
                connection,
                services().keys,
                name=destination.name,
                kind="webhook",
                settings={},
                channels=frozenset({Channel.EMAIL}),
                mapping={},
                sends=frozenset(topic.key for topic in destination.topics),
                sends_service=False,
                can_lift=destination.can_lift,
                now=NOW,
            )
        )

    for destination in DESTINATIONS:
        insert(destination)


@settings(
    max_examples=HISTORIES,
    deadline=None,
    # Every recording has addresses and ids of its own, so the tables need not be emptied.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    steps(), st.randoms(use_true_random=False), st.lists(st.booleans(), min_size=12, max_size=12)
)
def test_the_service_agrees_with_the_model(
    history: list[Step], random: Random, cuts: list[bool]
) -> None:  # I2, I4, I5, I9, I10, I11
    shuffled = list(enumerate(history))
    random.shuffle(shuffled)
    _compare(history, list(enumerate(history)), [True] * len(history))
    _compare(history, shuffled, cuts)


@pytest.mark.parametrize("history", CASES.values(), ids=CASES.keys())
def test_the_service_agrees_on_a_rule(history: list[Step]) -> None:  # I4, I5, I9
    _compare(history, list(enumerate(history)), [True] * len(history))
    _compare(history, list(enumerate(history))[::-1], [False] * len(history))


def _compare(
    history: Sequence[Step], order: Sequence[tuple[int, Step]], cuts: Sequence[bool]
) -> None:
    n = next(_numbers)
    _record(order, cuts, n)
    recorded = Recorded(history, Model(to_events(history, n)))
    people = [address_of(form, n) for form in range(len(FORMS))]
    for who, facts in zip(people, load_facts(people), strict=True):
        for now in TIMES:
            _compare_decisions(recorded, who, facts, now)
            _compare_suppressions(recorded, who, facts, now)
    for who, facts in zip(people, load_exact_facts(people), strict=True):
        _compare_consents(recorded, who, facts)
    for destination in DESTINATIONS:
        _compare_wanted(recorded, people, destination)


def _record(order: Sequence[tuple[int, Step]], cuts: Sequence[bool], n: int) -> None:
    """Each batch in one transaction; a new one begins where it is cut."""
    batch: list[tuple[int, Step]] = []
    for (number, step), is_cut in zip(order, cuts, strict=False):
        if is_cut and batch:
            _write(batch, n)
            batch = []
        batch.append((number, step))
    _write(batch, n)


def _write(batch: Sequence[tuple[int, Step]], n: int) -> None:
    known = [address_of(step.form, n) for _, step in batch if step.kind is Kind.CONTACT_KNOWN]
    record([each for number, step in batch for each in to_change(step, number, n)], None, known)


def _compare_decisions(
    recorded: Recorded, who: Address, facts: Sequence[ScopeFact], now: datetime
) -> None:
    catalogue = current_catalogue()
    for key, asked in MESSAGE_TYPES.items():
        message_type = catalogue.message_types[key]
        topic = catalogue.topics[message_type.topic] if message_type.topic else None
        found = decide_in_service(message_type, topic, facts, now)
        answer = decide(recorded.model, form_of(who.exact), asked, now)
        assert found.allow is answer.allow, (key, now, found, answer)
        assert _reason(recorded, found) in answer.reasons, (key, now, found, answer)
        if found.rule is DecisionRule.PAUSED:
            assert isinstance(found, Denial)
            assert found.until == answer.paused_until, (key, now, found, answer)
        assert (found.advisory == "bounced") is answer.advisory, (key, now, found, answer)


def _reason(recorded: Recorded, found: Decision) -> tuple[str, str]:
    return found.rule.value, recorded.name_of(found.event) if found.event else ""


def _compare_suppressions(
    recorded: Recorded, who: Address, facts: Sequence[ScopeFact], now: datetime
) -> None:
    """Those of exactly this form, as the API lists them: an opt-out hides a pause of its scope."""
    stored = recorded.model.suppressions_of(form_of(who.exact), now)
    expected = {each.scope: each for each in sorted(stored, key=lambda s: not s.ends_itself)}
    found = active_suppressions(facts, now)
    assert {each.scope for each in found} == expected.keys(), (now, found, expected)
    for each in found:
        same = expected[each.scope]
        assert recorded.name_of(each.event_id) in {event.id for event in same.events}, (
            now,
            each,
            same,
        )
        assert each.since == same.at
        assert set(each.exempt_topics) == same.exempt, (now, each, same)


def _compare_consents(recorded: Recorded, who: Address, facts: Sequence[ScopeFact]) -> None:
    """Those of exactly this form, as the API states them."""
    form, expected = form_of(who.exact), {}
    for topic in TOPICS:
        if given := recorded.model.given(form, topic.key):
            withdrawn = recorded.model.is_withdrawn(form, topic.key, NOW)
            expected[topic.key] = withdrawn, {event.id for event in given}
    found = state_consents(current_catalogue(), Channel.EMAIL, facts, NOW)
    assert {each.topic for each in found} == expected.keys(), (found, expected)
    for each in found:
        withdrawn, ids = expected[each.topic]
        assert (each.state is ConsentStatus.WITHDRAWN) is withdrawn, (each, expected)
        assert recorded.name_of(each.given.event) in ids, (each, expected)


def _compare_wanted(
    recorded: Recorded, people: Sequence[Address], destination: Destination
) -> None:
    """What a worker would push now, and whether somebody would make it push."""
    topics = frozenset(topic.key for topic in destination.topics)
    expected = state(recorded.model, destination, NOW)
    for who in people:
        form = form_of(who.exact)
        if form not in recorded.model.forms or form.exact not in recorded.model.revealed:
            continue
        id_ = id_of(who)
        assert id_ is not None
        facts = run_in_transaction(lambda c, id_=id_: load_facts_by_id(c, [id_])).get(id_, ())  # type: ignore[misc]
        row = SyncClaim(id_, 1, 0, None, 0, sorted(topics), None, LANE_BEGINNING)
        item = plan_push(
            row, (Channel.EMAIL, who.exact), facts, topics, NOW, current_catalogue(),
            can_lift=destination.can_lift,
        ).item  # fmt: skip
        for topic in topics:
            found = (
                Wanted.OFF if topic in item.off
                else Wanted.MAY_BE_ON if topic in item.lift
                else Wanted.LEAVE
            )  # fmt: skip
            assert found is expected[who.exact, topic], (destination.name, who.exact, topic)
        if item.off:  # I3, I9: in whatever order things were learned
            due = waiting(who).get(destination.name)
            assert due is not None, (destination.name, who.exact)
            assert due <= NOW + WINDOW
