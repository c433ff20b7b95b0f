"""Read a destination: its own opt-outs, its contacts, and whether it still says what we told.

Each listing has a lease and a place of its own (`storage.verifying`). A pass goes page by
page, may be stopped or killed between any two, and goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from preference_center.destinations.leases import LEASE, Lease
from preference_center.domain.deadlines import PROBE_EVERY, destination_retry
from preference_center.domain.sync.capabilities import Capabilities, Listing
from preference_center.domain.sync.contract import Page
from preference_center.domain.sync.destination import Destination, Status
from preference_center.extensions import Services, services
from preference_center.ingest.record import take_in
from preference_center.integrations.base.contract import (
    Connector,
    DeliveryError,
    Pullable,
    Scannable,
)
from preference_center.integrations.base.http import LeaseOver, Rejected
from preference_center.integrations.base.rate_limit import Paced
from preference_center.integrations.registry import ENTRIES
from preference_center.storage.db.database import Connection, run, run_at_once
from preference_center.storage.sync import destinations
from preference_center.storage.sync import listings as verifying
from preference_center.storage.sync.listings import Overtaken, Part, Place, Tally
from preference_center.sync import scan_backfill
from preference_center.sync.push import Connect
from preference_center.sync.read_back import read_back

log = structlog.get_logger()

CHANGES_EVERY = timedelta(minutes=5)
SHORT_PASS = timedelta(minutes=1)
SHORT_EVERY = timedelta(hours=1)
"""A sweep that is over in a minute costs the tool little: it is made every hour."""
NIGHT = 2
"""The hour, where the company is, at which longer sweeps begin."""
SAMPLE_EVERY = timedelta(minutes=10)
PATIENCE = timedelta(hours=12)
"""How long a back-fill waits for a tool that won't be read (I3)."""
STALE_CURSOR = 3
"""Rejections in a row after which a cursor is given up, and the pass begun anew."""


def parts_of(capabilities: Capabilities) -> list[Part]:
    """What can be read of such a tool."""
    able = {
        Part.PULL: capabilities.can_pull,
        Part.SCAN: capabilities.can_scan,
        Part.SWEEP: capabilities.scans is Listing.CHANGES,
        Part.READ: capabilities.can_read,
    }
    return [part for part, can in able.items() if can]


def begin_listings(now: datetime) -> None:
    """Have read what never was of every active destination."""
    keys = services().keys
    for number in run_at_once(verifying.not_begun):
        found = run_at_once(partial(destinations.by_id, keys=keys, destination_id=number))
        entry = ENTRIES.get(found.kind) if found else None
        parts = parts_of(entry.able(found.settings)) if found and entry else []
        run_at_once(partial(verifying.begin, destination=number, parts=parts, now=now))


def verify(
    destination_id: int,
    part: Part,
    connect: Connect,
    *,
    until: datetime,
    stop: Callable[[], bool],
) -> int:
    """Read one listing page by page while it is due; how many pages were read.

    Begins no page at or after `until`, nor once `stop()` says so.
    """
    context, pages = services(), 0
    while not stop() and context.now() < until:
        destination = run_at_once(lambda c: destinations.by_id(c, context.keys, destination_id))
        if destination is None or not _may_read(destination, context.now()):
            break
        if part is Part.READ:
            went_on = _read(context, destination, connect)
        else:
            went_on = _list(context, destination, part, connect)
        if not went_on:
            break
        pages += 1
    return pages


def _may_read(destination: Destination, now: datetime) -> bool:
    closed = destination.retry_at is None or destination.retry_at <= now
    return destination.status is Status.ACTIVE and closed


@dataclass(frozen=True, slots=True)
class _Turn:
    """One worker's hold of one listing."""

    destination: Destination
    connector: Connector
    part: Part
    lease: UUID
    ends_at: datetime
    place: Place


def _claim(
    context: Services, destination: Destination, part: Part, connect: Connect
) -> _Turn | None:
    lease, now = context.new_id(), context.now()
    ends_at = now + LEASE
    place = run_at_once(
        lambda c: verifying.claim(c, destination.id, part, lease, now=now, until=ends_at)
    )
    if place is None:
        return None
    connector = connect(destination, Lease(ends_at, context.now))
    return _Turn(destination, connector, part, lease, ends_at, place)


def _list(context: Services, destination: Destination, part: Part, connect: Connect) -> bool:
    """Read one page of what people said there, or of contacts; whether there may be more."""
    turn = _claim(context, destination, part, connect)
    if turn is None:
        return False
    try:
        page = _page(turn)
        _bring(turn, page)
        _take(turn, page)
    except (Overtaken, LeaseOver):
        return False
    except Exception as error:  # noqa: BLE001 - whatever a tool's answer did to the connector
        _fail(context, turn, error)
        return False
    _go_on(context, turn, page)
    return not page.done and page.again is None


def _page(turn: _Turn) -> Page[Any]:
    if turn.part is Part.PULL:
        return cast("Pullable", turn.connector).pull(turn.place.cursor)
    return cast("Scannable", turn.connector).scan(turn.place.cursor)


def _bring(turn: _Turn, page: Page[Any]) -> None:
    """Bring lists to their state by what a page of contacts shows, where pushing is too slow."""
    destination, begun_at = turn.destination, turn.place.begun_at
    if turn.part is Part.SCAN and scan_backfill.serves(destination, turn.connector, begun_at):
        assert begun_at
        scan_backfill.bring(destination, turn.connector, page.rows, turn.lease, turn.ends_at)
        if page.done:
            scan_backfill.end_pass(destination, begun_at)


def _take(turn: _Turn, page: Page[Any]) -> Tally:
    def move(connection: Connection) -> None:
        verifying.turn(
            connection,
            turn.destination.id,
            turn.part,
            turn.lease,
            cursor=None if page.done and turn.part is Part.SWEEP else page.cursor,
            rows=len(page.rows),
            until=turn.ends_at,
        )

    # A first pull and contacts are lists like an import; later pulls are what people just did.
    bulk = turn.part is not Part.PULL or turn.place.is_first
    # Who was confirmed to be off is read back and sampled: not all of them every night.
    closely = turn.part is not Part.SWEEP
    # Its first pull tells all that is off there, and so does each of one that is swept.
    whole = bulk or turn.connector.capabilities.pulls is Listing.SWEEP
    return take_in(
        turn.destination,
        turn.connector,
        page.rows,
        bulk=bulk,
        whole=whole,
        closely=closely,
        beside=move,
    )


def _go_on(context: Services, turn: _Turn, page: Page[Any]) -> None:
    number, now = turn.destination.id, context.now()
    if not page.done:
        at = now + (page.again or timedelta(0))
        run_at_once(lambda c: verifying.rest(c, number, turn.part, turn.lease, at))
        return
    next_at = _next_pass(context, turn, now)
    run_at_once(
        lambda c: verifying.finish(c, number, turn.part, turn.lease, now=now, next_at=next_at)
    )
    log.info("listed", destination=number, part=turn.part)


def _next_pass(context: Services, turn: _Turn, now: datetime) -> datetime:
    if turn.part is Part.READ:
        return now + SAMPLE_EVERY
    capabilities = turn.connector.capabilities
    listings = {Part.PULL: capabilities.pulls, Part.SCAN: capabilities.scans}
    if listings.get(turn.part) is Listing.CHANGES:
        return now + CHANGES_EVERY
    if capabilities.backfills_by_scan and turn.part is Part.SCAN:
        for_lists = scan_backfill.next_pass(turn.destination, now)
        if for_lists:
            return for_lists
    begun_at = turn.place.begun_at or now
    if now - begun_at <= SHORT_PASS:
        return now + SHORT_EVERY
    # One that takes longer than a day is followed at once: nobody waits for two passes.
    return max(now, next_night(begun_at, ZoneInfo(context.settings.time_zone)))


def next_night(now: datetime, zone: ZoneInfo) -> datetime:
    """The next time that it is `NIGHT` o'clock in `zone`."""
    there = now.astimezone(zone)
    night = there.replace(hour=NIGHT, minute=0, second=0, microsecond=0)
    return night if night > there else night + timedelta(days=1)


def _read(context: Services, destination: Destination, connect: Connect) -> bool:
    """Sample if it is time, then read back what is due; whether there may be more."""
    turn = _claim(context, destination, Part.READ, connect)
    ends_at = context.now() + LEASE
    connector = turn.connector if turn else connect(destination, Lease(ends_at, context.now))
    try:
        more = read_back(destination, connector, until=ends_at, sample=turn is not None)
    except LeaseOver:
        return False
    except Exception as error:  # noqa: BLE001 - whatever a tool's answer did to the connector
        if turn:
            _fail(context, turn, error)
        log.warning("read_back_failed", destination=destination.id, error=type(error).__name__)
        return False
    if turn:
        _go_on(context, turn, Page((), None, done=True))
    return more


def _fail(context: Services, turn: _Turn, error: Exception) -> None:
    """Try the same page again later. The destination itself stays open: pushes may work."""
    number, now = turn.destination.id, context.now()
    failures = turn.place.failures + 1
    wish = error.retry_after if isinstance(error, DeliveryError) else None
    if isinstance(error, Paced):
        room_at = now + min(wish or timedelta(0), PROBE_EVERY)
        run_at_once(lambda c: verifying.rest(c, number, turn.part, turn.lease, room_at))
        return
    permanent = isinstance(error, DeliveryError) and error.permanent
    next_at = (
        now + PROBE_EVERY
        if permanent
        else destination_retry(failures, now, wish=wish, jitter=context.random.random())
    )
    log.warning("listing_failed", destination=number, part=turn.part, error=type(error).__name__)

    def work(connection: Connection) -> None:
        verifying.failed(
            connection,
            number,
            turn.part,
            turn.lease,
            reason=_reason(error),
            next_at=next_at,
            anew=isinstance(error, Rejected) and failures >= STALE_CURSOR,
        )
        begun_at = turn.place.begun_at
        if turn.part is Part.PULL and begun_at and now - begun_at > PATIENCE:
            destinations.pulled(connection, number, now)

    run(work)


def _reason(error: Exception) -> str:
    """Ours are written to be shown; a foreign error's text might hold an address (I12)."""
    if isinstance(error, DeliveryError):
        return str(error)
    return f"the connector failed on the tool's answer ({type(error).__name__})"
