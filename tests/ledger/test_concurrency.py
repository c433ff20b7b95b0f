"""Many writers of one address on a real PostgreSQL: nothing is lost, nothing is blocked."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from threading import Barrier, Thread

import psycopg
import pytest
from flask import Flask

from dev.processes import wait_until
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import ALL_MARKETING, Change, EventKind, Retraction
from preference_center.infra.config import Settings
from preference_center.infra.db.transactions import override_limits, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.store.lookup import load_exact_facts
from tests.clock import START
from tests.core.histories import NEWS, OFFERS
from tests.ledger.changes import (
    JANE,
    add_destination,
    blocked_pids,
    change,
    id_of,
    in_parts,
    patient,
    retraction,
    together,
    waiting,
)
from tests.ledger.oracle import Oracle
from tests.ledger.states import rows_of

MINUTE = timedelta(minutes=1)
FORMS = [JANE, *(parse_address(f"jane+{tag}@example.org", Channel.EMAIL) for tag in "ab")]


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        add_destination("news", NEWS)
        add_destination("both", NEWS, OFFERS)
        yield


def _mixed(seed: int, count: int) -> list[Change | Retraction]:
    """Opt-outs, opt-ins, pauses and consents of three forms, and retractions of some."""
    dice = random.Random(seed)
    kinds = [EventKind.OPTED_OUT, EventKind.OPTED_IN, EventKind.PAUSED, EventKind.CONSENTED]
    items: list[Change | Retraction] = []
    for number in range(1, count + 1):
        kind = dice.choice(kinds)
        topics = [NEWS, OFFERS] if kind is EventKind.CONSENTED else [NEWS, OFFERS, ALL_MARKETING]
        until = START + 60 * MINUTE if kind is EventKind.PAUSED else None
        at = START - dice.randrange(30) * MINUTE
        who = dice.choice(FORMS)
        items.append(change(number, kind, dice.choice(topics), address=who, at=at, until=until))
    items += [
        retraction(1000 + n, *(dice.randrange(1, count + 1) for _ in range(3))) for n in range(6)
    ]
    dice.shuffle(items)
    return items


@pytest.mark.parametrize("seed", range(4))
def test_mixed_writers_end_in_the_oracles_state(seed: int) -> None:  # I5
    history = _mixed(seed, 48)
    works = [lambda part=part: [record([item]) for item in part] for part in in_parts(history, 8)]
    together(*works)
    oracle = Oracle(history, START)
    assert {who.exact: rows_of(who) for who in FORMS} == {
        who.exact: oracle.rows(who) for who in FORMS
    }


@pytest.mark.parametrize("seed", range(2))
def test_mixed_batches_end_in_the_oracles_state(seed: int) -> None:  # I5
    history = _mixed(seed, 60)
    together(*(lambda part=part: record(part) for part in in_parts(history, 6)))
    oracle = Oracle(history, START)
    assert {who.exact: rows_of(who) for who in FORMS} == {
        who.exact: oracle.rows(who) for who in FORMS
    }


def test_the_same_batch_from_everybody_is_recorded_once() -> None:
    history = [item for item in _mixed(9, 30) if isinstance(item, Change)]
    together(*[lambda: record(history)] * 6)
    count = run_in_transaction(
        lambda c: c.execute("SELECT count(*), count(DISTINCT id) FROM event").fetchone()
    )
    assert count == (30, 30)
    assert rows_of(JANE) == Oracle(history, START).rows(JANE)


def test_forms_of_one_mailbox_at_once_all_reach_the_tools() -> None:  # I9
    together(
        *(lambda n=n, who=who: record([change(n, address=who)]) for n, who in enumerate(FORMS))
    )
    assert all({"news", "both"} <= waiting(who).keys() for who in FORMS)


PAIRS = 100
"""Without the rows of mailboxes and bases, which every writer locks, 2 to 40 of them fail."""


@pytest.mark.parametrize(
    "known, added",
    [("jo{n}", "jo{n}+shop"), ("jo{n}+shop", "jo{n}"), ("j.o{n}", "jo{n}+shop")],
    ids=["base", "tag", "neither is the mailbox"],
)
@pytest.mark.parametrize("by", ["event", "contact"])
def test_a_form_added_during_an_opt_out_reaches_the_tools(
    known: str, added: str, by: str
) -> None:  # I9: whatever else happens at that moment
    domain = "gmail.com" if known.startswith("j.") else "example.org"

    def form(text: str, n: int) -> Address:
        return parse_address(f"{text.format(n=n)}@{domain}", Channel.EMAIL)

    def opt_out(n: int) -> None:
        record([change(n, address=form(known, n))])

    def learn(n: int) -> None:
        who = form(added, n)
        if by == "contact":
            record([], known_addresses=[who])
        else:
            record([change(10_000 + n, EventKind.CONSENTED, OFFERS, address=who)])

    in_step = Barrier(2)

    def each(work: Callable[[int], None]) -> None:
        for n in range(PAIRS):
            in_step.wait(timeout=30)
            work(n)

    together(lambda: each(opt_out), lambda: each(learn))
    missed = [n for n in range(PAIRS) if "news" not in waiting(form(added, n))]
    assert missed == []


def test_a_retraction_waits_for_the_event_it_names(app: Flask, settings: Settings) -> None:
    """I5: both are under way at once, and neither may pass the other unseen."""
    record([change(1, at=START - 60 * MINUTE)])
    with psycopg.connect(settings.database_url) as other:
        # Holds the writer of the event back when it has looked at what was taken back.
        other.execute("SELECT FROM suppression WHERE address_id = %s FOR UPDATE", (id_of(JANE),))
        writers = [_writer(app, change(2)), _writer(app, retraction(9, 2))]
        other.rollback()
    for writer in writers:
        writer.join(timeout=30)
        assert not writer.is_alive()
    (fact,) = load_exact_facts([JANE])[0]
    assert fact.state.opt_out
    assert fact.state.opt_out.event == change(1).id


def _writer(app: Flask, item: Change | Retraction) -> Thread:
    """A thread that records `item`, returned once it waits for a lock (or is through)."""
    before = len(run_in_transaction(blocked_pids))

    def work() -> None:
        with app.app_context(), override_limits(patient()):
            record([item])

    thread = Thread(target=work, daemon=True)
    thread.start()
    assert wait_until(
        lambda: len(run_in_transaction(blocked_pids)) > before or not thread.is_alive(), 30
    )
    return thread
