"""Taking in what tools have posted to `/in/<destination>`: the second half of its way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import cast

import structlog

from preference_center.domain.deadlines import destination_retry
from preference_center.domain.news import News
from preference_center.domain.news.sources import SOURCES
from preference_center.errors import InvalidInput
from preference_center.extensions import Services, services
from preference_center.storage import destinations, posted
from preference_center.storage.database import Connection, run
from preference_center.storage.destinations import Destination
from preference_center.storage.posted import Posted
from workers.connectors.base import Connector, DeliveryError, Findable
from workers.leases import LEASE, Lease
from workers.sync import Connect
from workers.taking import take_in

log = structlog.get_logger()

BATCH = 20
FOUND_AT_ONCE = 100
"""See Findable."""


def take_posted(
    destination_id: int, connect: Connect, *, until: datetime, stop: Callable[[], bool]
) -> int:
    """Take in what the tool has posted, the oldest first; how many bodies.

    Whatever state the destination is in: what a person said counts, also while nothing is
    written there (I13).
    """
    context, total = services(), 0
    destination = run(lambda c: destinations.by_id(c, context.keys, destination_id))
    while destination is not None and not stop() and context.now() < until:
        ends_at = context.now() + LEASE
        bodies = _claim(context, destination, ends_at)
        if not bodies:
            break
        connector = connect(destination, Lease(ends_at, context.now))
        for body in bodies:
            _take(context, destination, connector, body)
        total += len(bodies)
    return total


def _claim(context: Services, destination: Destination, ends_at: datetime) -> list[Posted]:
    now = context.now()
    return run(
        lambda c: posted.claim(c, context.keys, destination.id, now=now, until=ends_at, limit=BATCH)
    )


def _take(context: Services, destination: Destination, connector: Connector, body: Posted) -> None:
    try:
        said = SOURCES[destination.kind].parse(body.body)
        said = _with_addresses(connector, said)
    except InvalidInput as error:
        log.warning("news_unreadable", destination=destination.id, reason=str(error))
        run(lambda c: posted.done(c, body.id, "unreadable"))
        return
    except DeliveryError as error:
        _put_off(context, destination, body, error)
        return

    def mark(connection: Connection) -> None:
        posted.done(connection, body.id, "taken in")

    try:
        take_in(destination, connector, said, received_at=body.received_at, beside=mark)
    except DeliveryError as error:
        _put_off(context, destination, body, error)


def _put_off(
    context: Services, destination: Destination, body: Posted, error: DeliveryError
) -> None:
    log.warning("news_put_off", destination=destination.id, error=type(error).__name__)
    at = destination_retry(
        body.attempts, context.now(), wish=error.retry_after, jitter=context.random.random()
    )
    run(lambda c: posted.later(c, body.id, at, str(error)))


def _with_addresses(connector: Connector, said: Sequence[News]) -> Sequence[News]:
    """The same with the addresses of contacts that are named by an id; gone ones left out."""
    unnamed = sorted({news.contact for news in said if not news.address and news.contact})
    if not unnamed:
        return [news for news in said if news.address]
    if not hasattr(connector, "find"):
        raise InvalidInput("the connector can't find contacts by id")
    found: dict[str, str] = {}
    for start in range(0, len(unnamed), FOUND_AT_ONCE):
        found |= cast("Findable", connector).find(unnamed[start : start + FOUND_AT_ONCE])
    named = [
        news if news.address else replace(news, address=found.get(news.contact, ""))
        for news in said
    ]
    return [news for news in named if news.address]
