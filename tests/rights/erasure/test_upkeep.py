"""What becomes of erasures that tools do not finish: 30 days at most (I6)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.rights.erasure.erase import tidy_erasures
from preference_center.rights.erasure.store import READABLE_FOR, WARNED_BEFORE
from tests.clock import START, Clock
from tests.core.histories import NEWS
from tests.ledger.changes import add_destination, waiting
from tests.rights.erasing import ADA, erase, row, rows, store, tables_with
from workers.scheduler import purge_expired

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _erased(app: Flask) -> Iterator[None]:
    with app.app_context():
        add_destination("crm", NEWS)
        add_destination("shop", "acme.other")
        store()
        erase()
        yield


def end_task(name: str) -> None:
    run_in_transaction(
        lambda c: c.execute(
            "UPDATE erasure_task SET outcome = 'erased', next_at = NULL WHERE destination = %s",
            (name,),
        )
    )


def test_an_address_is_kept_while_a_task_is_open() -> None:
    end_task("crm")
    tidy_erasures(services().now())
    assert tables_with("ada@example.com") == {"erasure"}


def test_it_is_forgotten_when_the_last_task_has_ended() -> None:
    end_task("crm")
    end_task("shop")
    tidy_erasures(services().now())
    assert tables_with("ada@example.com") == set()
    assert row("SELECT finished_at FROM erasure") == (START,)


def test_what_is_open_becomes_a_task_for_a_person_five_days_before(clock: Clock) -> None:
    end_task("crm")
    clock.now = START + READABLE_FOR - WARNED_BEFORE - timedelta(seconds=1)
    tidy_erasures(clock.now)
    assert rows("SELECT by_hand_since FROM erasure_task") == [(None,), (None,)]
    clock.now += timedelta(seconds=1)
    tidy_erasures(clock.now)
    assert rows("SELECT destination FROM erasure_task WHERE by_hand_since = %s", clock.now) == [
        ("shop",)
    ]
    assert "erase" not in row("SELECT outcome FROM erasure_task WHERE destination = 'shop'")


def test_it_is_forgotten_after_30_days_whatever_is_open(clock: Clock) -> None:  # I6
    clock.now = START + READABLE_FOR
    purge_expired(clock.now)
    assert tables_with("ada@example.com") == set()
    assert row("SELECT finished_at FROM erasure") == (None,)
    assert row(
        "SELECT count(*) FROM erasure_task WHERE by_hand_since IS NOT NULL AND next_at IS NULL"
    ) == (2,)


def test_what_can_not_be_pushed_any_more_is_settled_and_not_overdue(clock: Clock) -> None:  # I3
    assert waiting(ADA).keys() == {"crm", "shop"}
    clock.now = START + READABLE_FOR
    tidy_erasures(clock.now)
    assert waiting(ADA) == {}
    assert rows("SELECT due_at FROM sync_state WHERE due_at IS NOT NULL") == []


def test_acknowledgements_that_came_after_the_erasure_go_when_it_ends() -> None:
    def deliver(at: datetime) -> None:
        run_in_transaction(
            lambda c: c.execute(
                """WITH d AS (INSERT INTO delivery (destination_id, address_id, version, outcome,
                        note, at)
                    SELECT 1, address_id, 1, 'reflected', '', %s FROM erasure RETURNING id)
                INSERT INTO delivery_ack (delivery_id, ack) SELECT id, 'profile-of-ada' FROM d""",
                (at,),
            )
        )

    deliver(START)
    end_task("crm")
    end_task("shop")
    tidy_erasures(services().now())
    assert tables_with("profile-of-ada") == set()


def test_health_shows_what_waits_for_a_person(client: FlaskClient, clock: Clock) -> None:
    assert client.get("/healthz").get_json()["erasures"] == {
        "by_hand": 0,
        "earliest_forgotten_at": (START + READABLE_FOR).isoformat(),
        "not_in_journal": 0,
    }
    clock.now = START + READABLE_FOR
    tidy_erasures(clock.now)
    assert client.get("/healthz").get_json()["erasures"] == {
        "by_hand": 2,
        "earliest_forgotten_at": None,
        "not_in_journal": 0,
    }
