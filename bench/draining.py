"""Draining sync states into a connector that answers at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import structlog

from bench.ground import TOPIC, Ground, add_destinations
from preference_center.domain.addresses import Channel, parse
from preference_center.domain.events import Change, Kind
from preference_center.extensions import services
from preference_center.ledger import record
from workers.connectors.base import Capabilities, Item, Outcome, Report, Result, Scopes
from workers.sync import sync

BATCH = 1000


class AtOnce:
    """A tool that takes everything at once."""

    kind: ClassVar[str] = "at_once"
    capabilities: ClassVar[Capabilities] = Capabilities(
        frozenset({Channel.EMAIL}), frozenset({Scopes.TOPIC}), can_lift=True, batch_size=BATCH
    )
    settings: ClassVar[Mapping[str, str]] = {}

    def check(self) -> Report:
        return Report()

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        return {item.ref: Outcome(Result.REFLECTED, "200") for item in batch}


def drain(ground: Ground, count: int) -> tuple[float, float]:
    """Addresses a second that `record` takes 10,000 at a time, and that one worker settles."""
    with ground.app.app_context():
        (destination,) = add_destinations(1)
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
            cache_logger_on_first_use=False,
        )
        begin = time.perf_counter()
        for first in range(0, count, 10_000):
            record([_opt_out(first + n) for n in range(min(10_000, count - first))])
        recorded = time.perf_counter() - begin
        ground.vacuum()
        until = datetime.now(UTC) + timedelta(minutes=5)
        begin = time.perf_counter()
        settled = sync(destination, lambda *_: AtOnce(), until=until, stop=lambda: False)
        drained = time.perf_counter() - begin
    if settled != count:
        raise RuntimeError(f"{settled} of {count} rows were settled")
    return count / recorded, count / drained


def _opt_out(number: int) -> Change:
    now = datetime.now(UTC)
    return Change(
        id=services().new_id(),
        kind=Kind.OPTED_OUT,
        address=parse(f"drained-{number}@example.com", Channel.EMAIL),
        scope=TOPIC,
        occurred_at=now,
        received_at=now,
        source="bench",
        actor="bench",
    )
