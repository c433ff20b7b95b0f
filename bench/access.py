"""The file of one person with many events, as a worker builds it."""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bench.ground import TOPIC, Ground, hush
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import Change, EventKind
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from preference_center.rights.access_file.build import build_access_file, read_access_file
from preference_center.rights.requests.handle import open_request
from preference_center.rights.rules.new_request import NewRequest
from preference_center.rights.rules.requests import IdentityLevel, RequestKind, RequestVia

LIMIT = 60.0
"""Seconds that the file of a person with 10,000 events may take."""
AT_ONCE = 10_000
_EVIDENCE = {"source": "shop", "wording": "Yes, tell me about what is new. " * 4, "language": "en"}
_INSERT_DELIVERIES = """
WITH pushed AS (
    INSERT INTO delivery (destination_id, address_id, version, outcome, note, at)
    SELECT 1, (SELECT id FROM address WHERE digest = %(digest)s), n, 'reflected', '', %(now)s
    FROM generate_series(1, %(count)s) AS n RETURNING id
) INSERT INTO delivery_ack (delivery_id, ack) SELECT id, 'answer ' || id FROM pushed
"""


@dataclass(frozen=True, slots=True)
class Built:
    """How long the file took in seconds, its size in bytes, and the peak of Python's memory."""

    seconds: float
    size: int
    peak: int


def measure(here: Ground, events: int, number: int) -> Built:
    """Build the file of a person with so many events and deliveries, twice: for time and memory."""
    with here.app.app_context():
        hush()
        address = parse_address(f"person-{number}@people.example", Channel.EMAIL)
        _store(address, events)
        here.vacuum()
        begin = time.perf_counter()
        size = _build(address, "en")
        seconds = time.perf_counter() - begin
        tracemalloc.start()
        _build(address, "de")  # another language: not the same file again
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return Built(seconds, size, peak)


def _build(address: Address, language: str) -> int:
    """Build a file; returns its size."""
    request = open_request(
        NewRequest(
            RequestKind.ACCESS,
            RequestVia.PAGE,
            language,
            (address,),
            level=IdentityLevel.CONTROLS_ADDRESS,
        )
    )
    assert build_access_file(request.id)
    return len(read_access_file(request.id))


def _store(address: Address, count: int) -> None:
    for first in range(0, count, AT_ONCE):
        record([_change(address, n) for n in range(first, min(first + AT_ONCE, count))])
    given = {
        "digest": services().keys.exact_digest(address),
        "now": datetime.now(UTC),
        "count": count,
    }

    def insert(connection: Connection) -> None:
        connection.execute(_INSERT_DELIVERIES, given)

    run_in_transaction(insert)


def _change(address: Address, number: int) -> Change:
    at = datetime.now(UTC) - timedelta(minutes=number + 1)
    return Change(
        id=services().new_id(),
        kind=EventKind.OPTED_OUT if number % 2 else EventKind.OPTED_IN,
        address=address,
        scope=TOPIC,
        occurred_at=at,
        received_at=at,
        source="preference_page",
        actor="recipient",
        evidence=_EVIDENCE,
    )
