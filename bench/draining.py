"""Draining sync states into a tool that answers at once and has no limit."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from bench.ground import Ground, add_destinations, hush
from bench.opted_out import opt_out, retract_all
from preference_center.core.addresses import Channel
from preference_center.destinations.connect import ConnectorFactory, Lease
from preference_center.destinations.push import sync
from preference_center.destinations.rules.states import Destination
from preference_center.destinations.token_buckets import TokenBucket, TokenBuckets
from preference_center.integrations.base.contract import (
    Capabilities,
    CheckReport,
    Connector,
    DestinationConfig,
    PushItem,
    PushOutcome,
    PushResult,
    SupportedScope,
)
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.push_results import deferred

BATCH = 1000
LIFTS = 50


@dataclass(frozen=True, slots=True)
class AtOnce:
    """A tool that takes everything at once, and is to be read back."""

    kind: ClassVar[str] = "at_once"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=True,
        batch_size=BATCH,
        can_read=True,
    )
    settings: ClassVar[Mapping[str, str]] = {}
    setup: DestinationConfig
    http: HttpContext

    def check(self) -> CheckReport:
        return CheckReport()

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        self.http.acquire(self.setup.name)
        return {item.ref: PushOutcome(PushResult.REFLECTED, "200") for item in batch}


@dataclass(frozen=True, slots=True)
class FewLifts(AtOnce):
    """The same, but of lifts it takes fifty a push, as SendGrid does."""

    kind: ClassVar[str] = "few_lifts"

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        lifts = [item.ref for item in batch if item.lift]
        return {**AtOnce.push(self, batch), **dict.fromkeys(lifts[LIFTS:], deferred())}


def connect_to_sink(ground: Ground, tool: type[AtOnce] = AtOnce) -> ConnectorFactory:
    """Makes connectors of a tool that takes everything at once."""
    buckets = TokenBuckets(ground.settings.redis_url)

    def connect(destination: Destination, lease: Lease) -> Connector:
        pace = TokenBucket(buckets, destination.name, None)
        http = HttpContext(lease_valid=lease, max_wait=lease.max_wait, rate_limiter=pace)
        return tool(DestinationConfig(destination.name, {}), http)

    return connect


def drain(ground: Ground, count: int) -> tuple[float, float]:
    """Addresses a second that `record` takes 10,000 at a time, and that one worker settles."""
    connect = connect_to_sink(ground)
    with ground.app.app_context():
        hush()
        (destination,) = add_destinations(1)
        recorded = opt_out(count)
        ground.vacuum()
        until = datetime.now(UTC) + timedelta(minutes=5)
        begin = time.perf_counter()
        settled = sync(destination, connect, until=until, stop=lambda: False)
        drained = time.perf_counter() - begin
    if settled != count:
        raise RuntimeError(f"{settled} of {count} rows were settled")
    return recorded, count / drained


def undo(ground: Ground, count: int) -> float:
    """Seconds until a tool that takes few lifts a push has all of an undo of `count` opt-outs."""
    connect = connect_to_sink(ground, FewLifts)
    with ground.app.app_context():
        hush()
        (destination,) = add_destinations(1)
        opt_out(count)
        _work(destination, connect, count)
        begin = time.perf_counter()
        retract_all()
        _work(destination, connect, count)
        return time.perf_counter() - begin


def _work(destination: int, connect: ConnectorFactory, count: int) -> None:
    settled, turns = 0, 0
    while settled < count and turns < count:
        until = datetime.now(UTC) + timedelta(seconds=30)
        settled += sync(destination, connect, until=until, stop=lambda: False)
        turns += 1
    if settled != count:
        raise RuntimeError(f"{settled} of {count} rows were settled")
