"""Which sync states an event updates: those of the forms and destinations it concerns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.deadlines import WINDOW
from preference_center.core.events import ALL_MARKETING, EVERYTHING, UNDELIVERABLE, EventKind
from preference_center.destinations.rules.states import Settlement
from preference_center.destinations.store import states
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from tests.clock import START, Clock
from tests.core.histories import NEWS, OFFERS
from tests.ledger.changes import JANE, add_destination, change, id_of, retraction, waiting

HOUR = timedelta(hours=1)
TAGGED = parse_address("jane+shop@example.org", Channel.EMAIL)
OTHER_TAG = parse_address("jane+bank@example.org", Channel.EMAIL)
GMAIL = [
    parse_address(text, Channel.EMAIL)
    for text in ("j.o@gmail.com", "jo@gmail.com", "jo+x@gmail.com")
]


@pytest.fixture(autouse=True)
def _destinations(app: Flask) -> Iterator[None]:
    with app.app_context():
        add_destination("news", NEWS)
        add_destination("offers", OFFERS)
        yield


def test_an_opt_out_of_a_topic_is_pushed_where_it_is_sent() -> None:  # I10
    record([change(1)])
    assert waiting(JANE) == {"news": START + WINDOW}


@pytest.mark.parametrize(
    "kind,scope",
    [
        (EventKind.OPTED_OUT, ALL_MARKETING),
        (EventKind.COMPLAINED, ALL_MARKETING),
        (EventKind.BOUNCED, UNDELIVERABLE),
        (EventKind.DEACTIVATED, EVERYTHING),
        (EventKind.ERASED, EVERYTHING),
    ],
)  # fmt: skip
def test_a_wide_opt_out_is_pushed_everywhere(kind: EventKind, scope: str) -> None:
    record([change(1, kind, scope)])
    assert waiting(JANE) == {"news": START + WINDOW, "offers": START + WINDOW}


def test_another_channel_is_not_pushed() -> None:
    number = parse_address("+39 333 1234567", Channel.SMS)
    record([change(1, scope=ALL_MARKETING, address=number)])
    assert waiting(number) == {}


def test_a_consent_without_a_suppression_is_not_pushed() -> None:
    record(
        [
            change(1, EventKind.CONSENTED),
            change(2, address=parse_address("jo@example.org", Channel.EMAIL)),
        ]
    )
    assert waiting(JANE) == {}


def test_every_known_form_is_pushed() -> None:  # I9
    record([change(n, EventKind.CONSENTED, address=form) for n, form in enumerate(GMAIL)])
    record([change(9, address=GMAIL[0])])
    assert [waiting(form) for form in GMAIL] == [{"news": START + WINDOW}] * 3


def test_a_tag_meets_its_base_and_never_another_tag() -> None:  # I9
    everybody = (JANE, TAGGED, OTHER_TAG)
    record([change(n, EventKind.CONSENTED, address=form) for n, form in enumerate(everybody)])
    record([change(9, address=TAGGED)])
    assert [bool(waiting(form)) for form in everybody] == [True, True, False]


@pytest.mark.parametrize(
    "kind,scope",
    [
        (EventKind.CONSENTED, OFFERS),
        (EventKind.OPTED_IN, OFFERS),
        (EventKind.OPTED_OUT, OFFERS),
        (EventKind.PAUSED, OFFERS),
    ],
)  # fmt: skip
def test_a_form_added_later_is_pushed_whatever_its_event(kind: EventKind, scope: str) -> None:  # I9
    record([change(1)])
    until = START + HOUR if kind is EventKind.PAUSED else None
    record([change(2, kind, scope, address=TAGGED, until=until)])
    assert waiting(TAGGED)["news"] == START + WINDOW


def test_a_form_added_after_another_was_lifted_is_pushed() -> None:
    # I9: the lift was for the exact form only, so the "no" still stands against this one
    record([change(1), change(2, EventKind.OPTED_IN, received_at=START, occurred_at=START)])
    record([change(3, at=START - HOUR), change(4, EventKind.CONSENTED, address=TAGGED)])
    assert "news" in waiting(TAGGED)


def test_a_form_added_while_its_mailbox_pauses_is_pushed() -> None:
    record([change(1, EventKind.PAUSED, until=START + HOUR)])
    record([change(2, EventKind.CONSENTED, address=TAGGED)])
    assert waiting(TAGGED) == {"news": START + WINDOW}


def test_a_form_added_by_an_event_retracted_in_advance_is_pushed() -> None:  # I9
    record([change(1), retraction(9, 2)])
    record([change(2, EventKind.CONSENTED, address=TAGGED)])
    assert waiting(TAGGED) == {"news": START + WINDOW}


def test_an_added_form_is_pushed_only_where_the_topic_is_sent() -> None:  # I10
    record([change(1)])
    record([change(2, EventKind.CONSENTED, OFFERS, address=TAGGED)])
    assert waiting(TAGGED) == {"news": START + WINDOW}


def test_a_form_known_by_its_digest_only_is_skipped() -> None:  # I6
    record([change(1, EventKind.CONSENTED, address=TAGGED)])
    run_in_transaction(
        lambda connection: connection.execute(
            "UPDATE address SET ciphertext = NULL, erased_at = %s WHERE id = %s",
            (START, id_of(TAGGED)),
        )
    )
    record([change(2), change(3, address=TAGGED)])
    assert (bool(waiting(JANE)), waiting(TAGGED)) == (True, {})


def test_the_earliest_pending_opt_out_keeps_its_deadline(clock: Clock) -> None:  # I3
    record([change(1)])
    clock.advance(5 * HOUR)
    record([change(2, scope=ALL_MARKETING, at=clock.now)])
    assert waiting(JANE) == {"news": START + WINDOW, "offers": clock.now + WINDOW}


def test_an_opt_out_that_was_received_earlier_is_due_earlier() -> None:  # I3: support typed it late
    record([change(1)])
    record([change(2, at=START - 5 * HOUR)])
    assert waiting(JANE) == {"news": START - 5 * HOUR + WINDOW}


def test_a_lift_has_no_deadline_and_removes_none(clock: Clock) -> None:
    record([change(1)])
    clock.advance(HOUR)
    record(
        [
            change(2, EventKind.OPTED_IN, at=clock.now),
            change(3, EventKind.OPTED_IN, OFFERS, at=clock.now),
        ]
    )
    assert waiting(JANE) == {"news": START + WINDOW, "offers": None}


def test_retracting_an_opt_in_has_a_deadline() -> None:  # I5
    record([change(1, EventKind.OPTED_IN)])
    assert waiting(JANE) == {"news": None}
    record([retraction(9, 1)])
    assert waiting(JANE) == {"news": START + WINDOW}


def test_a_repeat_pushes_nothing() -> None:
    record([change(1)])
    before = _row(JANE)
    assert record([change(1)]).destinations == frozenset()
    assert _row(JANE) == before


def test_another_act_does_not_defer_a_pending_opt_out(clock: Clock) -> None:  # I3
    record([change(1)])
    clock.advance(timedelta(seconds=20))
    record([change(2, EventKind.OPTED_IN, OFFERS, at=clock.now), change(3, at=clock.now)])
    due = run_in_transaction(
        lambda c: c.execute(
            "SELECT next_at FROM sync_state JOIN destination ON id = destination_id"
            " WHERE name = 'news'"
        ).fetchall()
    )
    assert due == [(START,)]


def test_what_commits_during_a_push_is_pushed_after_it() -> None:  # I3, I9
    """A form's event may get its number before another's and commit after it."""
    record([change(1, EventKind.CONSENTED)])
    record([change(2)])
    event = run_in_transaction(
        lambda c: c.execute("SELECT id FROM destination WHERE name = 'news'").fetchone()
    )
    assert event
    lease = UUID(int=7)
    claims = run_in_transaction(
        lambda c: states.claim_rows(c, event[0], lease, now=START, until=START + HOUR, limit=9)
    )
    # As seen by the worker, this event has a lower number than the one it claimed.
    claimed = run_in_transaction(
        lambda c: c.execute(
            "UPDATE sync_state SET wanted_version = wanted_version + 1000 RETURNING wanted_version"
        ).fetchone()
    )
    assert claimed
    record([change(3, address=TAGGED)])
    settled = [
        Settlement(
            address_id=claim.address_id,
            version=claimed[0],
            previous_version=0,
            outcome="reflected",
            ack="",
            is_done=True,
            is_final=True,
            next_at=None,
        )
        for claim in claims
    ]
    run_in_transaction(lambda c: states.settle_rows(c, event[0], lease, settled, now=START))
    assert waiting(JANE) == {"news": START + WINDOW}


def _row(who: Any) -> Any:
    return run_in_transaction(
        lambda connection: connection.execute(
            "SELECT * FROM sync_state WHERE address_id = %s", (id_of(who),)
        ).fetchall()
    )
