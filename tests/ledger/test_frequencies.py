"""How often a person wants a topic, as the ledger keeps it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import Change, EventKind, FrequencyChoice, fold
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.store.events import list_events_of
from preference_center.ledger.store.lookup import load_facts, load_facts_by_id
from preference_center.rights.erasure.tables import ErasedRows, erase_rows
from tests.clock import START
from tests.core.histories import NEWS
from tests.ledger.changes import JANE, add_destination, change, id_of, retraction
from tests.ledger.states import rows_of

WEEKLY, MONTHLY = FrequencyChoice("weekly", 0), FrequencyChoice("monthly", 1)
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def choice(number: int, frequency: FrequencyChoice, **given: Any) -> Change:
    return change(number, EventKind.FREQUENCY_CHOSEN, frequency=frequency, **given)


def chosen() -> str | None:
    found = rows_of(JANE).get(NEWS)
    return found.chosen if found else None


def test_the_newest_choice_counts_in_whatever_order() -> None:  # I5
    acts = [choice(1, MONTHLY, at=START - MINUTE), choice(2, WEEKLY)]
    for number, order in enumerate(itertools.permutations(acts)):
        who = parse_address(f"p{number}@example.org", Channel.EMAIL)
        for act in order:
            record(
                [
                    Change(
                        **_fields(act)
                        | {"address": who, "id": UUID(int=number * 10 + 100 + act.id.int)}
                    )
                ]
            )
        assert rows_of(who)[NEWS].chosen == "weekly"


def _fields(act: Change) -> dict[str, Any]:
    return {name: getattr(act, name) for name in Change.__dataclass_fields__}


@pytest.mark.parametrize("first", [WEEKLY, MONTHLY])
def test_of_two_choices_at_the_same_time_the_less_frequent_one_counts(
    first: FrequencyChoice,
) -> None:  # I5
    second = MONTHLY if first is WEEKLY else WEEKLY
    record([choice(1, first)])
    record([choice(2, second)])
    assert chosen() == "monthly"


def test_a_retracted_choice_gives_way_to_the_one_before() -> None:  # I5
    record([choice(1, MONTHLY, at=START - MINUTE), choice(2, WEEKLY)])
    record([retraction(3, 2)])
    assert chosen() == "monthly"
    record([retraction(4, 1)])
    assert chosen() is None


def test_a_choice_lifts_nothing() -> None:  # I5
    record([change(1, at=START - MINUTE), choice(2, WEEKLY)])
    (fact,) = load_facts([JANE])[0]
    assert fact.state.is_suppressed
    assert fact.state.lift is None
    assert fact.state.consent is None


def test_a_choice_is_pushed_without_a_deadline() -> None:  # I3
    add_destination("news", NEWS)
    record([choice(1, MONTHLY)])
    row = run_in_transaction(
        lambda c: c.execute("SELECT wanted_version > 0, due_at FROM sync_state").fetchone()
    )
    assert row == (True, None)


def test_other_forms_of_the_mailbox_are_found_with_their_newest_choice() -> None:  # I9
    forms = [parse_address(f"jo+{n}@gmail.com", Channel.EMAIL) for n in range(6)]
    record([choice(n, WEEKLY, address=form, at=START - n * MINUTE) for n, form in enumerate(forms)])
    record([choice(50, MONTHLY, address=forms[5])])
    base = parse_address("jo@gmail.com", Channel.EMAIL)
    record([change(60, EventKind.CONSENTED, address=base)])
    found = id_of(base)
    assert found is not None
    by_id = run_in_transaction(lambda c: load_facts_by_id(c, [found]))[found]
    for facts in (load_facts([base])[0], by_id):
        (keys,) = [[f.state.frequency.key for f in facts if f.state.frequency and not f.exact]]
        assert keys == ["monthly"]


def _erase() -> None:
    address_id = id_of(JANE)
    assert address_id is not None
    rows = ErasedRows([address_id], [], [], START)
    run_in_transaction(lambda c: erase_rows(c, rows, START))


def test_erasure_forgets_the_choice_and_keeps_the_opt_out() -> None:  # I6
    record([change(1), choice(2, MONTHLY), choice(3, MONTHLY, scope="acme.offers")])
    _erase()
    rows = rows_of(JANE)
    assert rows.keys() == {NEWS}
    assert rows[NEWS].opt_out
    assert rows[NEWS].chosen is None


def test_a_choice_of_before_the_erasure_does_not_come_back() -> None:  # I6
    record([change(1), choice(2, MONTHLY)])
    _erase()
    record([choice(3, WEEKLY, at=START - MINUTE)])  # an old one that arrives late
    record([change(4, EventKind.OPTED_IN, at=START + MINUTE)])
    record([retraction(5, 4)])  # folds the ledger again
    assert chosen() is None
    address_id = id_of(JANE)
    assert address_id is not None
    events, retracted = run_in_transaction(lambda c: list_events_of(c, [address_id]))
    assert fold(events, retracted)[address_id, NEWS].frequency  # the ledger still has it
