"""Any history, in any order and batches: PostgreSQL, the fold and the oracle agree."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preference_center.catalogue import MessageClass, MessageType, Topic, TopicDefault
from preference_center.core.addresses import LIST_ALGORITHMS, Address, Channel, parse_address
from preference_center.core.events import (
    Change,
    DatedFrequency,
    EventKind,
    Retraction,
    Timestamped,
    can_be_hashed,
    fold,
)
from preference_center.decisions.rules import DecisionRule, decide
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.store.events import list_events_of
from preference_center.ledger.store.lookup import load_facts, load_facts_by_id
from tests.clock import START
from tests.core.histories import MOMENTS, NEWS, OFFERS, histories
from tests.ledger.changes import add_destination, id_of, waiting
from tests.ledger.oracle import Oracle, Row, Slot, hashed
from tests.ledger.states import rows_of

NOW = START
TOPICS = {
    key: Topic(key, "acme", Channel.EMAIL, default, "news", {}, {})
    for key, default in ((NEWS, TopicDefault.OPT_OUT), (OFFERS, TopicDefault.OPT_IN))
}
SERVICE = MessageType("invoice", MessageClass.SERVICE)
DESTINATIONS = {"news": {NEWS}, "offers": {OFFERS}, "both": {NEWS, OFFERS}}
Given = tuple[list[Address], list[list[Any]]]
_examples = itertools.count(1)

on_postgres = settings(
    max_examples=80,
    deadline=None,
    # Every example has addresses and ids of its own, so the tables need not be emptied.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        for name, sends in DESTINATIONS.items():
            add_destination(name, *sends)
        yield


def _people(n: int) -> list[Address]:
    """Forms of three mailboxes that no other example has."""
    texts = [
        f"j.ane{n}@gmail.com", f"jane{n}@gmail.com", f"jane{n}+x@googlemail.com",
        f"jo{n}@example.org", f"jo{n}+a@example.org", f"jo{n}+b@example.org",
    ]  # fmt: skip
    number = f"+39333{n:07}"
    return [parse_address(text, Channel.EMAIL) for text in texts] + [
        parse_address(number, Channel.SMS)
    ]


@st.composite
def _recordings(draw: st.DrawFn) -> tuple[list[Address], list[list[Change | Retraction]]]:
    """A history about a few forms, with repeats and retractions, shuffled and cut up."""
    n = next(_examples)
    pool = draw(st.lists(st.sampled_from(_people(n)), min_size=1, max_size=4, unique=True))
    first = n << 32
    history: list[Any] = list(draw(histories(pool, first=first, received=MOMENTS)))
    history = [_maybe_hashed(draw, change) for change in history]
    if history:
        ids = [change.id for change in history]
        for number in range(draw(st.integers(0, 2))):
            named = draw(st.lists(st.sampled_from(ids), min_size=1, max_size=3, unique=True))
            history.append(
                Retraction(UUID(int=first + 1000 + number), tuple(named), NOW, "test", "test")
            )
        history += draw(st.lists(st.sampled_from(history), max_size=3))
    history = draw(st.permutations(history))
    batches: list[list[Change | Retraction]] = [[]]
    for item in history:
        if draw(st.booleans()):
            batches.append([])
        batches[-1].append(item)
    return pool, batches


def _maybe_hashed(draw: st.DrawFn, change: Change) -> Change:
    """The change, or its like from an import that has but a hash of the address."""
    who = change.address
    if can_be_hashed(change.kind) and isinstance(who, Address):
        algorithm = draw(st.sampled_from([None, None, *LIST_ALGORITHMS]))
        if algorithm:
            return replace(change, address=hashed(who.exact, algorithm, who))
    return change


def _known(batches: Sequence[Sequence[Any]]) -> set[Address]:
    """The addresses that are readable, so that they can be pushed."""
    return {
        item.address
        for item in itertools.chain(*batches)
        if isinstance(item, Change) and isinstance(item.address, Address)
    }


@on_postgres
@given(_recordings())
def test_state_is_that_of_the_oracle(given: Given) -> None:  # I5
    people, batches = given
    for batch in batches:
        record(batch)
    oracle = Oracle(list(itertools.chain(*batches)), NOW)
    for who in people:
        assert rows_of(who) == oracle.rows(who)


@on_postgres
@given(_recordings())
def test_state_is_the_fold_of_the_ledger(given: Given) -> None:  # I5
    people, batches = given
    for batch in batches:
        record(batch)
    for who in people:
        found = id_of(who)
        if found is None:
            continue
        folded = fold(*run_in_transaction(lambda c, id_=found: list_events_of(c, [id_])))  # type: ignore[misc]
        assert rows_of(who) == {
            scope: Row(
                _slot(state.opt_out),
                state.reason and state.reason.value,
                _slot(state.lift),
                _slot(state.pause),
                state.pause_until,
                _slot(state.consent),
                _slot(state.frequency),
                state.frequency.key if state.frequency else None,
            )
            for (_, scope), state in folded.items()
        }


def _slot(newest: Timestamped | DatedFrequency | None) -> Slot:
    return (newest.at, newest.event) if newest else None


@on_postgres
@given(_recordings())
def test_decisions_are_those_of_the_oracle(given: Given) -> None:  # I4, I9
    people, batches = given
    for batch in batches:
        record(batch)
    oracle = Oracle(list(itertools.chain(*batches)), NOW)
    everybody = list({*people, *_related_people(people)})
    for who, facts in zip(everybody, load_facts(everybody), strict=True):
        service = decide(SERVICE, None, facts, NOW)
        assert service.allow is not oracle.closed(who)
        for key, topic in TOPICS.items():
            decision = decide(MessageType("m", MessageClass.MARKETING, key), topic, facts, NOW)
            opt_in = topic.default is TopicDefault.OPT_IN
            assert decision.allow is oracle.allows(who, key, opt_in=opt_in)
            if not decision.allow and decision.rule is not DecisionRule.NO_CONSENT:
                assert decision.event in {opted_out.id for opted_out in oracle.opt_outs(who, key)}


def _related_people(people: Sequence[Address]) -> list[Address]:
    """Forms of the same mailboxes, most of which the ledger has not seen."""
    number = int("".join(c for c in people[0].exact.removeprefix("+39333") if c.isdigit()))
    return _people(number)


@on_postgres
@given(_recordings())
def test_workers_decide_as_the_api_does(given: Given) -> None:  # I2, I9
    people, batches = given
    for batch in batches:
        record(batch)
    known = list(_known(batches) & set(people))
    for who, facts in zip(known, load_facts(known), strict=True):
        found = id_of(who)
        by_id = run_in_transaction(lambda c, id_=found: load_facts_by_id(c, [id_])).get(found, ())  # type: ignore[misc,arg-type]
        for key, topic in TOPICS.items():
            message = MessageType("m", MessageClass.MARKETING, key)
            assert decide(message, topic, by_id, NOW) == decide(message, topic, facts, NOW)


@on_postgres
@given(_recordings())
def test_every_known_form_that_is_denied_is_pending_for_the_tools(
    given: Given,
) -> None:  # I3, I9: in whatever order it was learned
    people, batches = given
    for batch in batches:
        record(batch)
    oracle = Oracle(list(itertools.chain(*batches)), NOW)
    for who in _known(batches) & set(people):
        if who.channel is not Channel.EMAIL:
            continue
        raised = waiting(who)
        for name, sends in DESTINATIONS.items():
            if any(oracle.opt_outs(who, topic) for topic in sends):
                assert name in raised
                # Overdue immediately if it was received long ago; but never later.
                due = raised[name]
                assert due is not None
                assert due <= NOW + timedelta(hours=72)


@on_postgres
@given(_recordings())
def test_what_concerns_no_destination_is_not_pushed(
    given: Given,
) -> None:
    people, batches = given
    history = [
        item
        for item in itertools.chain(*batches)
        if isinstance(item, Change)
        and (item.kind is EventKind.CONSENTED or (item.kind.suppresses and item.scope == NEWS))
    ]
    for item in history:
        record([item])
    for who in people:
        found = id_of(who)
        if found is not None:
            assert "offers" not in waiting(who)
