"""Opt-outs by `record`, as work for a destination."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from bench.ground import TOPIC
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import Change, EventKind, Retraction
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record

AT_ONCE = 10_000
_ALL = "SELECT id FROM event ORDER BY seq"


def opt_out(count: int) -> float:
    """Opt `count` people out, 10,000 at a time; how many a second."""
    begin = time.perf_counter()
    for first in range(0, count, AT_ONCE):
        record([_change(n) for n in range(first, min(first + AT_ONCE, count))])
    return count / (time.perf_counter() - begin)


def retract_all() -> None:
    """Retract every event that there is, as the undo of an import does."""
    found = run_in_transaction(lambda connection: connection.execute(_ALL).fetchall())
    for first in range(0, len(found), AT_ONCE):
        ids = tuple(row[0] for row in found[first : first + AT_ONCE])
        now = datetime.now(UTC)
        record([Retraction(services().new_id(), ids, now, "bench", "bench")])


def address_of(number: int) -> str:
    """The address of one of those people."""
    return f"drained-{number}@example.com"


def _change(number: int) -> Change:
    now = datetime.now(UTC)
    return Change(
        id=services().new_id(),
        kind=EventKind.OPTED_OUT,
        address=parse_address(address_of(number), Channel.EMAIL),
        scope=TOPIC,
        occurred_at=now,
        received_at=now,
        source="bench",
        actor="bench",
    )
