"""Plans made while the tables are empty are still fast when they have grown (I2).

PostgreSQL keeps the plan of a prepared statement, so what it may go through whole while there
is nothing in it, it goes through with millions of rows for every click.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from flask import Flask

from preference_center.catalogue import RetainedData
from preference_center.contacts.notices.store import list_notices, list_notices_of, load_page
from preference_center.core.addresses import Channel
from preference_center.core.deadlines import WINDOW
from preference_center.core.events import REPEAT_INTERVAL
from preference_center.destinations.store.deliveries import load_reported_opt_outs
from preference_center.destinations.store.verification import (
    AlreadyOptedOut,
    settle_already_opted_out,
)
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.feed.changes import list_changes
from preference_center.ledger.retracting import LOCK_RETRACTED
from preference_center.ledger.sql import (
    APPEND_EVENTS,
    APPEND_RETRACTIONS,
    RAISE_DEFERRED,
    RAISE_LEARNED,
)
from preference_center.ledger.store.lookup import LOOK_UP_BY_DIGEST, load_facts_by_id
from preference_center.lists.imports.matches import MatchQuery, find_matches
from preference_center.rights.erasure.store import (
    READABLE_FOR,
    STOP_WAITING,
    NewErasure,
    finish_erasures,
    forget_overdue,
    hand_over_late_tasks,
    insert_erasures,
    load_accounts,
    lock_unfinished,
)
from preference_center.rights.retention import AppliedRule, find_expired
from preference_center.rights.rules.requests import Extent
from tests.clock import START
from tests.core.histories import NEWS
from tests.ledger.changes import change

SMALL = {
    "destination_pkey",
    "deferred_form_pkey",
    "rights_request_open",
    "erasure_not_finished",
}
"""Of tables that stay small, or of the few rows that are open."""
WHOLE = {"suppression_reason", "suppression_scope"}
"""An address is not what these begin with, so a look-up by it alone reads all of them."""


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
        stops_at_limit = plan["Node Type"] == "Limit" and "Filter" not in each
        if not (stops_at_limit and "Index Name" in each):
            yield from _nodes(each)


def _find_whole_reads(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What reads a table whole that grows."""
    for node in _nodes(plan["Plan"]):
        index = node.get("Index Name")
        if index is None:
            if node["Node Type"] == "Seq Scan":
                yield node
        elif index in WHOLE:
            if "address_id" not in node.get("Index Cond", ""):
                yield node
        elif index not in SMALL and "Index Cond" not in node:
            yield node


@pytest.fixture(params=list(ANALYSED))
def analysed(request: pytest.FixtureRequest, app: Flask, admin_url: str) -> Iterator[None]:
    with psycopg.connect(admin_url, autocommit=True) as admin:
        # Else pages are counted that rows of other tests have had.
        admin.execute("SET session_replication_role = replica")
        found = admin.execute(
            """SELECT oid::regclass::text FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
                AND pg_relation_size(oid) > 0 AND relname NOT IN ('alembic_version', 'epoch')"""
        )
        if tables := ", ".join(name for (name,) in found):
            admin.execute(f"TRUNCATE {tables} CASCADE".encode())
        _set_statistics(admin, *ANALYSED[request.param])
        yield
        _set_statistics(admin, *ANALYSED["never"])


@pytest.mark.usefixtures("analysed")
@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(APPEND_EVENTS, id="append"),
        pytest.param(APPEND_RETRACTIONS, id="retractions"),
        pytest.param(LOCK_RETRACTED, id="locks of retractions"),
        pytest.param(RAISE_LEARNED, id="learned"),
        pytest.param(RAISE_DEFERRED, id="deferred"),
        pytest.param(LOOK_UP_BY_DIGEST, id="decision"),
        pytest.param(STOP_WAITING, id="stop_waiting"),
    ],
)
def test_every_row_is_found_by_an_index(app: Flask, statement: str) -> None:
    given = {
        "events": "[]", "addresses": "[]", "count": 1, "size": 1, "id": 1, "bulk": False,
        "now": START, "window": WINDOW, "repeat": REPEAT_INTERVAL,
        "occurred": START, "source": "test", "actor": "test", "evidence": "{}", "digests": [],
    }  # fmt: skip
    if statement in {APPEND_RETRACTIONS, LOCK_RETRACTED}:
        given |= {"ids": [], "addresses": [], "scopes": [], "retracts": [], "hashes": []}

    def explained(connection: Connection) -> list[Any]:
        query = "EXPLAIN (FORMAT JSON) " + statement
        row = connection.execute(query.encode(), given).fetchone()
        assert row
        return [*row[0]]

    with app.app_context():
        plans = run_in_transaction(explained)
    assert not list(_find_whole_reads(plans[0]))


class _Explaining:
    """A connection that also notes the plan of whatever it executes."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.plans: list[Any] = []

    def execute(self, query: str | bytes, given: Any = None, **options: Any) -> Any:
        text = query if isinstance(query, bytes) else query.encode()
        row = self.connection.execute(b"EXPLAIN (FORMAT JSON) " + text, given).fetchone()
        assert row
        self.plans += row[0]
        return self.connection.execute(text, given, **options)

    def cursor(self) -> Any:
        """One that explains nothing."""
        return self.connection.cursor()


def _load_accounts(connection: Connection) -> None:
    load_accounts(connection, [1], [UUID(int=1)])


def _load_facts_by_id(connection: Connection) -> None:
    load_facts_by_id(connection, [1])


def _list_changes(connection: Connection) -> None:
    list_changes(connection, services().keys, None, 10)


def _load_reported_opt_outs(connection: Connection) -> None:
    load_reported_opt_outs(connection, "mailer", [1])


def _settle_already_opted_out(connection: Connection) -> None:
    found = AlreadyOptedOut(1, frozenset({NEWS}), None)
    settle_already_opted_out(connection, 1, {1: found}, START)


def _find_matches(connection: Connection) -> None:
    queries = [MatchQuery(b"digest", Channel.EMAIL, NEWS, START, is_opt_in=False)]
    own = (UUID(int=1), UUID(int=2))
    find_matches(connection, queries, own_event_range=own, undoing_imports=(), now=START)


def _load_policy_page(connection: Connection) -> None:
    load_page(connection, 0, 10)


def _list_policy_notices(connection: Connection) -> None:
    list_notices(connection, services().keys, "1", limit=10)
    list_notices_of(connection, [1])


def _tidy_erasures(connection: Any) -> None:
    overdue, later = UUID(int=1), START + READABLE_FOR
    [(address_id,)] = connection.connection.execute("SELECT id FROM address")
    new = [NewErasure(overdue, address_id, None)]
    insert_erasures(connection.connection, new, Extent.ACCOUNT, None, begun_at=START, now=START)
    lock_unfinished(connection, [address_id])
    hand_over_late_tasks(connection, later)
    forget_overdue(connection, later)
    finish_erasures(connection, later, [overdue])


def _find_expired(connection: Connection) -> None:
    for kind in RetainedData:
        find_expired(connection, AppliedRule(kind, "", START, START), after=0, up_to=10)


@pytest.mark.usefixtures("analysed")
@pytest.mark.parametrize(
    "read",
    [
        _load_facts_by_id,
        _list_changes,
        _load_reported_opt_outs,
        _settle_already_opted_out,
        _find_matches,
        _load_accounts,
        _load_policy_page,
        _list_policy_notices,
        _tidy_erasures,
        _find_expired,
    ],
    ids=lambda read: read.__name__,
)
def test_a_look_up_of_some_reads_no_more(app: Flask, read: Callable[[Any], None]) -> None:
    def explained(connection: Connection) -> list[Any]:
        explaining = _Explaining(connection)
        read(explaining)
        return explaining.plans

    with app.app_context():
        record([change(1)])
        plans = run_in_transaction(explained)
    assert plans
    found = [node for plan in plans for node in _find_whole_reads(plan)]
    whole = [node.get("Relation Name", node.get("Index Name")) for node in found]
    if read is _list_changes:  # also reads events in their order, and PostgreSQL's own tables
        whole = [name for name in whole if name in {"consent", "suppression"}]
    assert not whole
