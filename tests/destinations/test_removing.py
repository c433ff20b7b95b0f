"""Forgetting a destination: what goes, what stays, and when it is refused."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from dev.processes import wait_until
from preference_center.core.errors import DestinationError
from preference_center.destinations.rules.states import DestinationStatus
from preference_center.destinations.set_up import remove_destination
from preference_center.destinations.store import destinations, states, webhooks
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, override_limits, run_in_transaction
from preference_center.ledger import record
from preference_center.monitoring.measure import measure_database
from tests.core.histories import NEWS
from tests.ledger.changes import add_destination, blocked_pids, change, patient

if TYPE_CHECKING:
    from flask import Flask

    from tests.clock import Clock

pytestmark = pytest.mark.usefixtures("in_context")


def rows(query: str) -> list[Any]:
    return run_in_transaction(lambda c: c.execute(query).fetchall())


def test_its_rows_go_and_what_was_delivered_stays() -> None:
    shop, other = add_destination("shop", NEWS), add_destination("other", NEWS)
    record([change(1)])
    run_in_transaction(
        lambda c: c.execute(
            """INSERT INTO delivery (destination_id, address_id, version, outcome, note, at)
            SELECT id, 1, 1, 'reflected', '', created_at FROM destination"""
        )
    )
    remove_destination("shop", "console:ada")
    measured = measure_database(services().now())
    assert [each.name for each in measured.destinations] == ["other"]
    while run_in_transaction(lambda c: states.purge_removed(c, limit=1)):
        pass
    assert rows("SELECT destination_id FROM sync_state") == [(other,)]
    assert rows("SELECT DISTINCT destination_id FROM delivery ORDER BY 1") == [(shop,), (other,)]
    (entry,) = rows("SELECT actor, action, detail FROM audit")
    assert entry[:2] == ("console:ada", "destination.removed")
    assert entry[2] == {"name": "shop", "id": str(shop), "kind": "webhook"}


def test_one_that_is_running_is_paused_first() -> None:
    number = add_destination("shop", NEWS)
    run_in_transaction(lambda c: destinations.set_status(c, number, DestinationStatus.ACTIVE))
    with pytest.raises(DestinationError, match="pause it first"):
        remove_destination("shop", "console:ada")


def test_a_webhook_that_is_being_stored_is_waited_for(
    app: Flask, admin_url: str, clock: Clock
) -> None:  # I1
    number = add_destination("shop", NEWS)
    context = services()

    def remove_meanwhile() -> None:
        with app.app_context(), override_limits(patient()):
            remove_destination("shop", "console:ada")

    def store(connection: Connection) -> Future[None]:
        assert webhooks.insert_webhook(
            connection, context.keys, context.new_id(), number, b"{}", clock()
        )
        removed = pool.submit(remove_meanwhile)
        assert wait_until(lambda: removed.done() or bool(blocked_pids(observer)), 30)
        return removed

    with ThreadPoolExecutor(1) as pool, psycopg.connect(admin_url, autocommit=True) as observer:
        removed = run_in_transaction(store)
        with pytest.raises(DestinationError, match="see to them first"):
            removed.result(30)
    assert rows("SELECT name FROM destination") == [("shop",)]


def test_what_it_reported_is_recorded_or_decided_first(clock: Clock) -> None:  # I1
    number = add_destination("shop", NEWS)
    context, new_id = services(), services().new_id()
    run_in_transaction(
        lambda c: webhooks.insert_webhook(c, context.keys, new_id, number, b"{}", clock())
    )
    with pytest.raises(DestinationError, match="see to them first"):
        remove_destination("shop", "console:ada")
    assert rows("SELECT name FROM destination") == [("shop",)]
