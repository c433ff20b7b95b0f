"""Opt-outs by `record`, as work for a destination."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from bench.ground import TOPIC
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import Change, EventKind
from preference_center.infra.context import services
from preference_center.ledger import record

AT_ONCE = 10_000


def opt_out(count: int) -> float:
    """Opt `count` people out, 10,000 at a time; how many a second."""
    begin = time.perf_counter()
    for first in range(0, count, AT_ONCE):
        record([_change(n) for n in range(first, min(first + AT_ONCE, count))])
    return count / (time.perf_counter() - begin)


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
