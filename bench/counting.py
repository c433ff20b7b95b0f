"""What daily counts cost next to what they count, and what a report costs that reads them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from statistics import median

from bench.ground import TOPIC, Ground, hush
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import Change, EventKind, uuid7
from preference_center.destinations.rules.promise import BucketCount
from preference_center.destinations.store.deliveries import add_reflections
from preference_center.infra.db.connections import COMMAND_TIMEOUTS
from preference_center.infra.db.transactions import Connection, override_limits, run_in_transaction
from preference_center.ledger import record
from preference_center.reports.console.words import load_facts
from preference_center.reports.rules import MAX_DAYS, Period, default_unit, last_days
from preference_center.reports.store import count_new_events

_AT_ONCE = 10_000
_PUSHES = 500
QUARTER, LONGEST = 92, MAX_DAYS
CELLS, TOOLS = 500, 50
"""Of each day: kinds, topics and sources together, and destinations."""

_FILL_COUNTS = """
INSERT INTO daily_count (day, kind, scope, source, count)
SELECT %(last)s::date - day, CASE WHEN cell %% 3 = 0 THEN 'opted_in' ELSE 'opted_out' END,
    'topic.' || cell %% 50, 'source-' || cell / 50, 1 + cell
FROM generate_series(0, %(days)s - 1) AS day, generate_series(0, %(cells)s - 1) AS cell
ON CONFLICT DO NOTHING
"""
_FILL_TIMES = """
INSERT INTO reflection_count (day, destination, bucket, count, longest)
SELECT %(last)s::date - day, 'tool-' || tool, bucket, 1000, interval '1 minute'
FROM generate_series(0, %(days)s - 1) AS day, generate_series(1, %(tools)s) AS tool,
    generate_series(0, 5) AS bucket ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Found:
    """Seconds: of recording and counting all events, of adding the times of one push, and of
    reading a report of a quarter and of the longest period.
    """

    recording: float
    counting: float
    per_push: float
    quarter: float
    longest: float


def measure(here: Ground, count: int) -> Found:
    """Record so many opt-outs, count them, and read reports of years of a large company."""
    with here.app.app_context():
        hush()
        with _timed() as recording:
            _record(count)
        here.vacuum()
        with _timed() as counting:
            assert count_new_events(datetime.now(UTC), None) == count
        with _timed() as adding:
            run_in_transaction(_add)
        with override_limits(COMMAND_TIMEOUTS):
            run_in_transaction(partial(_fill, days=min(3 * LONGEST, count)))
        here.vacuum()
        today = datetime.now(UTC).date()
        return Found(
            recording[0],
            counting[0],
            adding[0] / _PUSHES,
            _read(last_days(today, QUARTER)),
            _read(last_days(today, LONGEST)),
        )


def _record(count: int) -> None:
    for start in range(0, count, _AT_ONCE):
        now = datetime.now(UTC)
        record(
            [
                Change(
                    id=uuid7(now, number),
                    kind=EventKind.OPTED_OUT,
                    address=parse_address(f"person-{number}@example.com", Channel.EMAIL),
                    scope=TOPIC,
                    occurred_at=now,
                    received_at=now,
                    source="bench",
                    actor="bench",
                )
                for number in range(start, min(start + _AT_ONCE, count))
            ]
        )


def _add(connection: Connection) -> None:
    counts = {bucket: BucketCount(100, timedelta(minutes=1)) for bucket in range(3)}
    for _ in range(_PUSHES):
        add_reflections(connection, "tool", datetime.now(UTC), counts)


def _fill(connection: Connection, days: int) -> None:
    given: dict[str, int | date] = {"last": datetime.now(UTC).date(), "days": days}
    connection.execute(_FILL_COUNTS, given | {"cells": CELLS})
    connection.execute(_FILL_TIMES, given | {"tools": TOOLS})


def _read(period: Period) -> float:
    found, unit = [], default_unit(period)
    for _ in range(5):
        now = datetime.now(UTC)
        with _timed() as seconds:
            run_in_transaction(partial(load_facts, period=period, unit=unit, now=now))
        found.append(seconds[0])
    return median(found)


@contextmanager
def _timed() -> Iterator[list[float]]:
    """A list that has the seconds afterwards."""
    found: list[float] = []
    begun = time.monotonic()
    yield found
    found.append(time.monotonic() - begun)
