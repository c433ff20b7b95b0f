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

from preference_center.context import Services, services
from preference_center.destinations.connect import ConnectorFactory
from preference_center.destinations.leases import LEASE_DURATION, Lease
from preference_center.domain.deadlines import PROBE_INTERVAL, destination_retry
from preference_center.domain.sync.capabilities import Capabilities, ListingMode
from preference_center.domain.sync.contract import ContactPage
from preference_center.domain.sync.destination import Destination
from preference_center.domain.sync.verification_stats import VerificationStats
from preference_center.ingest.record import ingest
from preference_center.integrations.base.contract import (
    Connector,
    DeliveryError,
    SupportsPull,
    SupportsScan,
)
from preference_center.integrations.base.http import LeaseExpired, RequestRejected
from preference_center.integrations.base.rate_limit import RateLimited
from preference_center.integrations.registry import load_integrations
from preference_center.storage.db.database import Connection, run_autocommit, run_in_transaction
from preference_center.storage.sync import destinations
from preference_center.storage.sync import listings as verifying
from preference_center.storage.sync.listings import (
    ListingKind,
    ListingLease,
    ListingLeaseLost,
)
from preference_center.sync import scan_backfill
from preference_center.sync.read_back import read_back

log = structlog.get_logger()

CHANGES_INTERVAL = timedelta(minutes=5)
SHORT_PASS_DURATION = timedelta(minutes=1)
SHORT_PASS_INTERVAL = timedelta(hours=1)
"""A sweep that is over in a minute costs the tool little: it is made every hour."""
NIGHT_HOUR = 2
"""The hour, where the company is, at which longer sweeps begin."""
SAMPLE_INTERVAL = timedelta(minutes=10)
MAX_PULL_WAIT = timedelta(hours=12)
"""How long a back-fill waits for a tool that won't be read (I3)."""
MAX_CURSOR_REJECTIONS = 3
"""Rejections in a row after which a cursor is given up, and the pass begun anew."""


def supported_listings(capabilities: Capabilities) -> list[ListingKind]:
    """What can be read of such a tool."""
    able = {
        ListingKind.PULL: capabilities.can_pull,
        ListingKind.SCAN: capabilities.can_scan,
        ListingKind.SWEEP: capabilities.scans is ListingMode.CHANGES,
        ListingKind.READ: capabilities.can_read,
    }
    return [part for part, can in able.items() if can]


def schedule_new_listings(now: datetime) -> None:
    """Have read what never was of every active destination."""
    keys = services().keys
    for number in run_autocommit(verifying.list_without_listings):
        found = run_autocommit(partial(destinations.find_by_id, keys=keys, destination_id=number))
        integration = load_integrations().get(found.kind) if found else None
        parts = (
            supported_listings(integration.load_spec().capabilities_for(found.settings))
            if found and integration
            else []
        )
        run_autocommit(
            partial(verifying.schedule_listings, destination=number, kinds=parts, now=now)
        )


def verify(
    destination_id: int,
    kind: ListingKind,
    connect: ConnectorFactory,
    *,
    until: datetime,
    stop: Callable[[], bool],
) -> int:
    """Read one listing page by page while it is due; how many pages were read.

    Begins no page at or after `until`, nor once `stop()` says so.
    """
    context, pages = services(), 0
    while not stop() and context.now() < until:
        destination = run_autocommit(
            lambda c: destinations.find_by_id(c, context.keys, destination_id)
        )
        if destination is None or not destination.allows_requests(context.now()):
            break
        if kind is ListingKind.READ:
            went_on = _read_back(context, destination, connect)
        else:
            went_on = _process_page(context, destination, kind, connect)
        if not went_on:
            break
        pages += 1
    return pages


@dataclass(frozen=True, slots=True)
class _ListingClaim:
    """One worker's hold of one listing."""

    destination: Destination
    connector: Connector
    kind: ListingKind
    lease: UUID
    ends_at: datetime
    position: ListingLease


def _claim(
    context: Services, destination: Destination, kind: ListingKind, connect: ConnectorFactory
) -> _ListingClaim | None:
    lease, now = context.new_id(), context.now()
    ends_at = now + LEASE_DURATION
    place = run_autocommit(
        lambda c: verifying.claim_listing(c, destination.id, kind, lease, now=now, until=ends_at)
    )
    if place is None:
        return None
    connector = connect(destination, Lease(ends_at, context.now))
    return _ListingClaim(destination, connector, kind, lease, ends_at, place)


def _process_page(
    context: Services, destination: Destination, kind: ListingKind, connect: ConnectorFactory
) -> bool:
    """Read one page of what people said there, or of contacts; whether there may be more."""
    turn = _claim(context, destination, kind, connect)
    if turn is None:
        return False
    try:
        page = _fetch_page(turn)
        _backfill_from_page(turn, page)
        _ingest_page(turn, page)
    except (ListingLeaseLost, LeaseExpired):
        return False
    except Exception as error:  # noqa: BLE001 - whatever a tool's answer did to the connector
        _record_failure(context, turn, error)
        return False
    _schedule_next_page(context, turn, page)
    return not page.done and page.poll_after is None


def _fetch_page(claim: _ListingClaim) -> ContactPage[Any]:
    if claim.kind is ListingKind.PULL:
        return cast("SupportsPull", claim.connector).pull(claim.position.cursor)
    return cast("SupportsScan", claim.connector).scan(claim.position.cursor)


def _backfill_from_page(claim: _ListingClaim, page: ContactPage[Any]) -> None:
    """Bring lists to their state by what a page of contacts shows, where pushing is too slow."""
    destination, begun_at = claim.destination, claim.position.started_at
    if claim.kind is ListingKind.SCAN and scan_backfill.can_backfill_by_scan(
        destination, claim.connector, begun_at
    ):
        assert begun_at
        scan_backfill.backfill_page(
            destination, claim.connector, page.rows, claim.lease, claim.ends_at
        )
        if page.done:
            scan_backfill.finish_pass(destination, begun_at)


def _ingest_page(claim: _ListingClaim, page: ContactPage[Any]) -> VerificationStats:
    def advance_cursor(connection: Connection) -> None:
        verifying.advance(
            connection,
            claim.destination.id,
            claim.kind,
            claim.lease,
            cursor=None if page.done and claim.kind is ListingKind.SWEEP else page.cursor,
            rows=len(page.rows),
            until=claim.ends_at,
        )

    # A first pull and contacts are lists like an import; later pulls are what people just did.
    bulk = claim.kind is not ListingKind.PULL or claim.position.is_first_pass
    # Who was confirmed to be off is read back and sampled: not all of them every night.
    closely = claim.kind is not ListingKind.SWEEP
    # Its first pull tells all that is off there, and so does each of one that is swept.
    whole = bulk or claim.connector.capabilities.pulls is ListingMode.FULL
    return ingest(
        claim.destination,
        claim.connector,
        page.rows,
        bulk=bulk,
        is_full_list=whole,
        read_back_confirmed=closely,
        in_transaction=advance_cursor,
    )


def _schedule_next_page(context: Services, claim: _ListingClaim, page: ContactPage[Any]) -> None:
    number, now = claim.destination.id, context.now()
    if not page.done:
        at = now + (page.poll_after or timedelta(0))
        run_autocommit(lambda c: verifying.release(c, number, claim.kind, claim.lease, at))
        return
    next_at = _next_pass_at(context, claim, now)
    run_autocommit(
        lambda c: verifying.finish_pass(
            c, number, claim.kind, claim.lease, now=now, next_at=next_at
        )
    )
    log.info("listing_finished", destination=number, kind=claim.kind)


def _next_pass_at(context: Services, claim: _ListingClaim, now: datetime) -> datetime:
    if claim.kind is ListingKind.READ:
        return now + SAMPLE_INTERVAL
    capabilities = claim.connector.capabilities
    listings = {ListingKind.PULL: capabilities.pulls, ListingKind.SCAN: capabilities.scans}
    if listings.get(claim.kind) is ListingMode.CHANGES:
        return now + CHANGES_INTERVAL
    if capabilities.backfills_by_scan and claim.kind is ListingKind.SCAN:
        for_lists = scan_backfill.next_pass_at(claim.destination, now)
        if for_lists:
            return for_lists
    begun_at = claim.position.started_at or now
    if now - begun_at <= SHORT_PASS_DURATION:
        return now + SHORT_PASS_INTERVAL
    # One that takes longer than a day is followed at once: nobody waits for two passes.
    return max(now, next_night(begun_at, ZoneInfo(context.settings.time_zone)))


def next_night(now: datetime, zone: ZoneInfo) -> datetime:
    """The next time that it is `NIGHT` o'clock in `zone`."""
    there = now.astimezone(zone)
    night = there.replace(hour=NIGHT_HOUR, minute=0, second=0, microsecond=0)
    return night if night > there else night + timedelta(days=1)


def _read_back(context: Services, destination: Destination, connect: ConnectorFactory) -> bool:
    """Sample if it is time, then read back what is due; whether there may be more."""
    turn = _claim(context, destination, ListingKind.READ, connect)
    ends_at = context.now() + LEASE_DURATION
    connector = turn.connector if turn else connect(destination, Lease(ends_at, context.now))
    try:
        more = read_back(destination, connector, until=ends_at, sample=turn is not None)
    except LeaseExpired:
        return False
    except Exception as error:  # noqa: BLE001 - whatever a tool's answer did to the connector
        if turn:
            _record_failure(context, turn, error)
        log.warning("read_back_failed", destination=destination.id, error=type(error).__name__)
        return False
    if turn:
        _schedule_next_page(context, turn, ContactPage((), None, done=True))
    return more


def _record_failure(context: Services, claim: _ListingClaim, error: Exception) -> None:
    """Try the same page again later. The destination itself stays open: pushes may work."""
    number, now = claim.destination.id, context.now()
    failures = claim.position.failures + 1
    wish = error.retry_after if isinstance(error, DeliveryError) else None
    if isinstance(error, RateLimited):
        room_at = now + min(wish or timedelta(0), PROBE_INTERVAL)
        run_autocommit(lambda c: verifying.release(c, number, claim.kind, claim.lease, room_at))
        return
    permanent = isinstance(error, DeliveryError) and error.permanent
    next_at = (
        now + PROBE_INTERVAL
        if permanent
        else destination_retry(failures, now, retry_after=wish, jitter=context.random.random())
    )
    log.warning("listing_failed", destination=number, kind=claim.kind, error=type(error).__name__)

    def write(connection: Connection) -> None:
        verifying.record_failure(
            connection,
            number,
            claim.kind,
            claim.lease,
            reason=_safe_message(error),
            next_at=next_at,
            restart=isinstance(error, RequestRejected) and failures >= MAX_CURSOR_REJECTIONS,
        )
        begun_at = claim.position.started_at
        if claim.kind is ListingKind.PULL and begun_at and now - begun_at > MAX_PULL_WAIT:
            destinations.mark_pulled(connection, number, now)

    run_in_transaction(write)


def _safe_message(error: Exception) -> str:
    """Ours are written to be shown; a foreign error's text might hold an address (I12)."""
    if isinstance(error, DeliveryError):
        return str(error)
    return f"the connector failed on the tool's answer ({type(error).__name__})"
