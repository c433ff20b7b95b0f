"""Addresses that become readable without an event: where they are pushed then (I9)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.deadlines import WINDOW
from preference_center.core.events import ALL_MARKETING, EventKind
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.store.addresses import load_readable
from tests.clock import START, Clock
from tests.core.histories import NEWS, OFFERS
from tests.ledger.changes import JANE, add_destination, change, id_of, waiting
from tests.ledger.oracle import hashed

DAY = timedelta(days=1)
TAGGED = parse_address("jane+shop@example.org", Channel.EMAIL)


@pytest.fixture(autouse=True)
def _destinations(app: Flask) -> Iterator[None]:
    with app.app_context():
        add_destination("news", NEWS)
        add_destination("offers", OFFERS)
        yield


def _is_readable(who: Address) -> bool:
    found = id_of(who)
    return bool(found and run_in_transaction(lambda c: load_readable(c, services().keys, [found])))


def test_an_address_without_opt_outs_has_nothing_to_push() -> None:
    assert record([], known_addresses=[JANE]).destinations == frozenset()
    assert _is_readable(JANE)
    assert waiting(JANE) == {}


def test_an_opt_out_of_a_digest_has_waited_since_it_was_received(clock: Clock) -> None:  # I3, I9
    sha256 = hashed(JANE.exact, "sha256", JANE)
    record([change(1, address=sha256)])
    assert (_is_readable(JANE), waiting(JANE)) == (False, {})
    clock.advance(DAY)
    assert record([], known_addresses=[JANE]).destinations
    assert _is_readable(JANE)
    assert waiting(JANE) == {"news": START + WINDOW}


def test_an_event_that_reveals_the_address_pushes_earlier_opt_outs(clock: Clock) -> None:  # I9
    record([change(1, address=hashed(JANE.exact, "sha256", JANE))])
    clock.advance(DAY)
    record([change(2, scope=OFFERS, at=clock.now)])
    assert waiting(JANE) == {"news": START + WINDOW, "offers": clock.now + WINDOW}


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_form_that_is_new_to_us_waits_from_now_on(clock: Clock, algorithm: str) -> None:  # I9
    record(
        [
            change(1, scope=ALL_MARKETING),
            change(2, address=hashed("jo@example.org", algorithm, JANE)),
        ]
    )
    clock.advance(DAY)
    other = parse_address("jo+shop@example.org", Channel.EMAIL)
    record([], known_addresses=[TAGGED, other])
    due = clock.now + WINDOW
    assert waiting(TAGGED) == {"news": due, "offers": due}
    assert waiting(other) == {"news": due}


def test_a_lift_of_another_form_is_for_that_one_only() -> None:  # I9
    record([change(1), change(2, EventKind.OPTED_IN, at=START + timedelta(seconds=1))])
    record([], known_addresses=[TAGGED, JANE])
    assert waiting(TAGGED) == {"news": START + WINDOW}


def test_what_the_tools_have_is_not_pushed_again() -> None:
    record([change(1)])
    run_in_transaction(lambda c: c.execute("UPDATE sync_state SET due_at = NULL, next_at = NULL"))
    assert record([], known_addresses=[JANE]).destinations == frozenset()
    assert waiting(JANE) == {}


def test_an_erased_address_stays_unreadable_and_is_not_pushed() -> None:  # I6
    record([change(1, EventKind.ERASED, "everything")])
    run_in_transaction(
        lambda c: c.execute(
            "UPDATE address SET ciphertext = NULL, erased_at = %s WHERE id = %s",
            (START, id_of(JANE)),
        )
    )
    run_in_transaction(lambda c: c.execute("DELETE FROM sync_state"))
    record([], known_addresses=[JANE])
    assert (_is_readable(JANE), waiting(JANE)) == (False, {})


def test_known_addresses_share_the_transaction_of_an_event() -> None:  # I1
    recorded = record([change(1)], known_addresses=[TAGGED])
    assert recorded.events == (change(1).id,)
    assert waiting(JANE) == waiting(TAGGED) == {"news": START + WINDOW}


def test_an_opt_out_of_a_digest_reaches_the_other_forms_once_it_is_known(
    clock: Clock,
) -> None:  # I9
    dotted, other = (parse_address(f"{name}@gmail.com", Channel.EMAIL) for name in ("a.bc", "ab.c"))
    record([change(1, address=hashed(dotted.exact, "sha256", dotted))], known_addresses=[other])
    assert waiting(other) == {}
    clock.advance(DAY)
    record([], known_addresses=[dotted])
    assert waiting(other) == {"news": clock.now + WINDOW}


@pytest.mark.parametrize("kind", [EventKind.CONSENTED, EventKind.OPTED_OUT])
def test_an_event_that_reveals_the_address_pushes_its_opt_outs_for_the_other_forms(
    clock: Clock, kind: EventKind
) -> None:  # I9
    record([change(1, address=hashed(TAGGED.exact, "sha256", TAGGED))], known_addresses=[JANE])
    clock.advance(DAY)
    record([change(2, kind, OFFERS, address=TAGGED, at=clock.now)])
    assert waiting(JANE)["news"] == clock.now + WINDOW
