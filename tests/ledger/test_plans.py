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


ANALYSED = {
    "never": (-1, 0),
    "while empty": (0, 1),
}
"""What autovacuum may have noted: rows of a table and an index, and pages of an index.

A new installation is analysed with its first few rows, and what there is of statistics then
remains until there are many more.
"""


def _set_statistics(admin: psycopg.Connection[Any], rows: int, index_pages: int) -> None:
    """As if no row was ever counted, or a whole table of none."""
    admin.execute(
        """UPDATE pg_class SET reltuples = %s, relpages = CASE relkind WHEN 'i' THEN %s ELSE 0 END
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')""",
        (rows, index_pages),
    )
    admin.execute(
        """DELETE FROM pg_statistic s USING pg_class c
        WHERE c.oid = s.starelid AND c.relnamespace = 'public'::regnamespace"""
    )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from _nodes(each)


@pytest.fixture(params=list(ANALYSED))
def analysed(request: pytest.FixtureRequest, app: Flask, admin_url: str) -> Iterator[None]:
    with psycopg.connect(admin_url, autocommit=True) as admin:
        _set_statistics(admin, *ANALYSED[request.param])
        yield
        _set_statistics(admin, *ANALYSED["never"])


@pytest.mark.usefixtures("analysed")
@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(APPEND_EVENTS, id="append"),
        pytest.param(APPEND_RETRACTIONS, id="retractions"),
        pytest.param(RAISE_LEARNED, id="learned"),
        pytest.param(RAISE_DEFERRED, id="deferred"),
    ],
)
def test_every_row_is_found_by_an_index(app: Flask, statement: str) -> None:
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

    with app.app_context():
        plans = run_in_transaction(explained)
    read_whole = [
        node
        for node in _nodes(plans[0]["Plan"])
        if node["Node Type"] == "Seq Scan"
        or node.get("Index Name") in WHOLE
        or ("Index Name" in node and node["Index Name"] not in SMALL and "Index Cond" not in node)
    ]
    assert not read_whole
