"""A list of millions must not keep a click waiting, nor the other way round."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from flask import Flask

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.destinations.rules.states import DestinationStatus
from preference_center.destinations.store import states
from preference_center.destinations.store.backfills import backfill
from preference_center.destinations.store.destinations import set_status
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from tests.clock import START, Clock
from tests.core.histories import NEWS
from tests.ledger.changes import add_destination, change, id_of

LEASE = UUID(int=99)


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def person(name: str) -> Address:
    return parse_address(f"{name}@example.net", Channel.EMAIL)


def listed(count: int, first: int = 1) -> list[Address]:
    """Opt-outs from a list, recorded now."""
    people = [person(f"listed-{n}") for n in range(first, first + count)]
    record([change(first + n, address=who) for n, who in enumerate(people)], bulk=True)
    return people


def claimed(destination: int, limit: int, clock: Clock, *, bulk_share: int = 0) -> set[int]:
    """The addresses that a worker takes now."""
    now, until = clock(), clock() + timedelta(seconds=90)
    rows = run_in_transaction(
        lambda c: states.claim_rows(
            c, destination, LEASE, now=now, until=until, limit=limit, bulk_share=bulk_share
        )
    )
    return {row.address_id for row in rows}


def test_what_people_do_overtakes_a_list_that_has_waited_longer(clock: Clock) -> None:
    # I3
    destination = add_destination("mailer", NEWS)
    listed(30)
    clock.advance(timedelta(hours=1))
    clicks = [person(f"click-{n}") for n in range(3)]
    record([change(1000 + n, address=who, at=clock()) for n, who in enumerate(clicks)])

    assert {id_of(who) for who in clicks} <= claimed(destination, 4, clock)


@pytest.mark.parametrize("limit, share", [(20, 2), (1, 1)])
def test_a_share_of_a_batch_is_the_lists(clock: Clock, limit: int, share: int) -> None:
    # I3
    destination = add_destination("mailer", NEWS)
    people = listed(5)
    record([change(1000 + n, address=person(f"click-{n}")) for n in range(40)])

    taken = claimed(destination, limit, clock, bulk_share=share)

    assert len(taken) == limit
    assert len(taken & {id_of(who) for who in people}) == share


def test_a_list_alone_fills_the_batch(clock: Clock) -> None:
    destination = add_destination("mailer", NEWS)
    run_in_transaction(lambda c: set_status(c, destination, DestinationStatus.ACTIVE))
    listed(12)

    assert len(claimed(destination, 10, clock)) == 10
    assert run_in_transaction(lambda c: states.count_due_by_destination(c, clock())) == {
        destination: 2
    }


def test_a_click_for_an_address_that_waits_in_a_list_takes_it_to_the_front(clock: Clock) -> None:
    destination = add_destination("mailer", NEWS)
    people = listed(9)
    record([change(1000, address=people[5], at=START)])

    assert claimed(destination, 1, clock) == {id_of(people[5])}


def test_a_list_takes_no_click_to_the_back(clock: Clock) -> None:
    destination = add_destination("mailer", NEWS)
    who = person("listed-4")
    record([change(1000, address=who)])
    listed(9)

    assert claimed(destination, 1, clock) == {id_of(who)}


def test_a_new_destination_is_filled_behind_live_opt_outs(clock: Clock) -> None:
    listed(9)
    destination = add_destination("mailer", NEWS)
    backfill(destination)
    clock.advance(timedelta(minutes=1))
    who = person("click")
    record([change(1000, address=who, at=clock())])

    assert claimed(destination, 1, clock) == {id_of(who)}
