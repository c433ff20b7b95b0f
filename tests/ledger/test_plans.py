"""Plans made while the tables are empty are still fast when they have grown (I2).

PostgreSQL keeps the plan of a prepared statement, so what it may go through whole while there
is nothing in it, it goes through with millions of rows for every click.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from flask import Flask

from preference_center.domain.deadlines import WINDOW
from preference_center.domain.events import REPEAT_INTERVAL
from preference_center.ledger.sql import APPEND_EVENTS, APPEND_RETRACTIONS
from preference_center.ledger.sync_state_sql import RAISE_DEFERRED, RAISE_LEARNED
from preference_center.storage.db.database import Connection, run_in_transaction
from tests.clock import START

SMALL = {"destination_pkey", "deferred_form_pkey"}
"""Of tables that stay small."""
WHOLE = {"suppression_reason", "suppression_scope"}
"""An address is not what these begin with, so a look-up by it reads all of them."""


FORGET = (
    (
        "UPDATE pg_class SET relpages = 0, reltuples = -1"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')"
    ),
    (
        "DELETE FROM pg_statistic s USING pg_class c"
        " WHERE c.oid = s.starelid AND c.relnamespace = 'public'::regnamespace"
    ),
)
"""What autovacuum may have noted while tables held the few rows of other tests."""


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from _nodes(each)


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(APPEND_EVENTS, id="append"),
        pytest.param(APPEND_RETRACTIONS, id="retractions"),
        pytest.param(RAISE_LEARNED, id="learned"),
        pytest.param(RAISE_DEFERRED, id="deferred"),
    ],
)
def test_every_row_is_found_by_an_index(app: Flask, admin_url: str, statement: str) -> None:
    given = {
        "events": "[]", "addresses": "[]", "count": 1, "size": 1, "id": 1, "bulk": False,
        "now": START, "window": WINDOW, "repeat": REPEAT_INTERVAL,
        "occurred": START, "source": "test", "actor": "test", "evidence": "{}",
    }  # fmt: skip
    if statement is APPEND_RETRACTIONS:
        given |= {"ids": [], "addresses": [], "scopes": [], "retracts": [], "hashes": []}

    def explained(connection: Connection) -> list[Any]:
        query = "EXPLAIN (FORMAT JSON) " + statement
        row = connection.execute(query.encode(), given).fetchone()
        assert row
        return [*row[0]]

    with psycopg.connect(admin_url) as admin:
        for forgetting in FORGET:
            admin.execute(forgetting.encode())
    with app.app_context():
        plans = run_in_transaction(explained)
    for node in _nodes(plans[0]["Plan"]):
        index = node.get("Index Name")
        assert node["Node Type"] != "Seq Scan"
        assert index not in WHOLE
        assert index is None or index in SMALL or "Index Cond" in node
