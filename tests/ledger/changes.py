"""Changes and rows, as the ledger's tests write and read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flask import current_app

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import Change, EventKind, Retraction
from preference_center.destinations.store import destinations
from preference_center.infra.context import services
from preference_center.infra.db.connections import DatabaseTimeouts
from preference_center.infra.db.transactions import (
    Connection,
    current_limits,
    override_limits,
    run_in_transaction,
)
from preference_center.ledger.store.events import load_events_by_id
from tests.clock import START
from tests.core.histories import NEWS

if TYPE_CHECKING:
    from flask import Flask


def stored_evidence() -> list[dict[str, str]]:
    """The evidence of every event as it was recorded, the oldest event first."""

    def load(connection: Connection) -> list[dict[str, str]]:
        ids = [row[0] for row in connection.execute("SELECT id FROM event ORDER BY seq")]
        found = load_events_by_id(connection, ids)
        return [dict(found[each].evidence) for each in ids]

    return run_in_transaction(load)


EVENT_WITH_EVIDENCE = "event JOIN event_evidence ON event_id = id"
"""The events that still have evidence, for a query."""

JANE = parse_address("jane@example.org", Channel.EMAIL)


def change(
    number: int, kind: EventKind = EventKind.OPTED_OUT, scope: str = NEWS, **given: Any
) -> Change:
    at = given.pop("at", START)
    fields = {"address": JANE, "occurred_at": at, "received_at": at, "source": "test"}
    return Change(UUID(int=number), kind, scope=scope, actor="test", **fields | given)


def retraction(number: int, *events: int) -> Retraction:
    named = tuple(UUID(int=event) for event in events)
    return Retraction(UUID(int=number), named, START, "test", "test")


def add_destination(name: str, *sends: str) -> int:
    """A destination that mails these topics."""
    return run_in_transaction(
        lambda connection: destinations.insert_destination(
            connection,
            services().keys,
            name=name,
            kind="webhook",
            settings={},
            channels=frozenset({Channel.EMAIL}),
            mapping={},
            sends=frozenset(sends),
            sends_service=False,
            now=START,
        )
    )


def id_of(who: Address) -> int | None:
    """The row of exactly this address, if the ledger knows it."""
    digest = services().keys.exact_digest(who)
    row = run_in_transaction(
        lambda connection: connection.execute(
            "SELECT id FROM address WHERE digest = %s AND channel = %s", (digest, who.channel)
        ).fetchone()
    )
    return int(row[0]) if row else None


def waiting(who: Address) -> dict[str, datetime | None]:
    """Destination -> when it must reflect this address, for rows that wait to be claimed."""
    rows = run_in_transaction(
        lambda connection: connection.execute(
            """SELECT d.name, s.due_at FROM sync_state s JOIN destination d
            ON d.id = s.destination_id WHERE s.address_id = %s AND s.next_at IS NOT NULL""",
            (id_of(who),),
        ).fetchall()
    )
    return dict(rows)


def patient() -> DatabaseTimeouts:
    """Limits for threads that queue for the same rows, however slow the machine is."""
    return replace(current_limits(), lock=30, statement=60, retry=60, total=60, round_trip=60)


def blocked_pids(connection: Connection) -> list[int]:
    """The processes of the server that wait for a lock in this database.

    Ask in a new transaction each time: within one, PostgreSQL shows what it showed first.
    """
    rows = connection.execute(
        """SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    )
    return [row[0] for row in rows]


def together(*works: Callable[[], object]) -> None:
    """Do all of it at once, each in a thread; fails with the first error of any."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    barrier = Barrier(len(works))
    failures: list[BaseException] = []

    def begin(work: Callable[[], object]) -> None:
        try:
            with app.app_context(), override_limits(patient()):
                barrier.wait(timeout=30)
                work()
        except BaseException as error:  # noqa: BLE001 - raised by the main thread
            failures.append(error)

    threads = [Thread(target=begin, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert failures == []
    assert not any(thread.is_alive() for thread in threads)


def in_parts(items: Sequence[Change | Retraction], parts: int) -> list[list[Change | Retraction]]:
    return [list(items[part::parts]) for part in range(parts)]
