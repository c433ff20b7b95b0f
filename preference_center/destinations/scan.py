"""`verify` reads a destination: its opt-outs, its contacts, and whether it keeps what was pushed.

The opt-outs are the tool's own. Each listing has its own lease and cursor
(`destinations.store.listings`). A pass goes page by page, may be stopped or killed between any two,
and resumes where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from preference_center.core.deadlines import PROBE_INTERVAL, destination_retry
from preference_center.destinations.connect import (
    LEASE_DURATION,
    ConnectorFactory,
    Lease,
    find_spec,
)
from preference_center.destinations.ingest import ingest
from preference_center.destinations.push import log_failure, safe_message
from preference_center.destinations.read_back import read_back
from preference_center.destinations.rules.classify import PROPAGATION_DELAY
from preference_center.destinations.rules.states import Destination, VerificationStats
from preference_center.destinations.scan_backfill import (
    backfill_page,
    can_backfill_by_scan,
    finish_pass,
    next_pass_at,
)
from preference_center.destinations.store import destinations
from preference_center.destinations.store import listings as verifying
from preference_center.destinations.store.listings import (
    ListingKind,
    ListingLease,
    ListingLeaseLost,
)
from preference_center.infra.context import Services, services
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.integrations.base.contract import (
    Capabilities,
    Connector,
    ContactPage,
    DeliveryError,
    LeaseExpired,
    ListingMode,
    RateLimited,
    RequestRejected,
    SupportsPull,
    SupportsScan,
)

log = structlog.get_logger()


CHANGES_INTERVAL = timedelta(minutes=5)


SHORT_PASS_DURATION = timedelta(minutes=1)


SHORT_PASS_INTERVAL = timedelta(hours=1)
"""A sweep that ends within a minute costs the tool little: it is repeated every hour."""


NIGHT_HOUR = 2
"""The hour, in the company's time zone, at which longer sweeps begin."""


SAMPLE_INTERVAL = timedelta(minutes=10)


MAX_PULL_WAIT = timedelta(hours=12)
"""How long a back-fill waits for a tool that can't be read (I3)."""


MAX_CURSOR_REJECTIONS = 3
"""Rejections in a row after which a cursor is dropped and the pass restarted."""


MAX_WAITS = 3
"""Waits for the rate limit in a row from which on people are shown that a listing is not read."""


def supported_listings(capabilities: Capabilities) -> list[ListingKind]:
    """The listings that a tool with these capabilities has."""
    supported = {
        ListingKind.PULL: capabilities.can_pull,
        ListingKind.SCAN: capabilities.can_scan,
        ListingKind.SWEEP: capabilities.scans is ListingMode.CHANGES,
        ListingKind.READ: capabilities.can_read,
    }
    return [kind for kind, is_supported in supported.items() if is_supported]


def schedule_new_listings(now: datetime) -> None:
    """Schedule the listings of active destinations that have never been read."""
    _schedule_listings(run_autocommit(verifying.list_without_listings), now)


def schedule_gained_listings(now: datetime) -> None:
    """Schedule the listings of active destinations that their tool has now and had not before.

    A newer version of a connector may read more, so a person's opt-out there is found (I13).
    """
    _schedule_listings(run_autocommit(verifying.list_with_unscheduled_listings), now)


def _schedule_listings(destination_ids: Iterable[int], now: datetime) -> None:
    keys = services().keys
    for number in destination_ids:
        found = run_autocommit(partial(destinations.find_by_id, keys=keys, destination_id=number))
        spec = find_spec(found.kind) if found else None
        if not found or not spec:
            continue
        parts = supported_listings(spec.capabilities_for(found.settings))
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
    """Read one listing page by page while it is due. Returns the number of pages.

    Starts no page at or after `until`, nor once `stop()` is true.
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
    """One listing that a worker holds until `ends_at`."""

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
    position = run_autocommit(
        lambda c: verifying.claim_listing(c, destination.id, kind, lease, now=now, until=ends_at)
    )
    if position is None:
        return None
    connector = connect(destination, Lease(ends_at, context.now))
    return _ListingClaim(destination, connector, kind, lease, ends_at, position)


def _process_page(
    context: Services, destination: Destination, kind: ListingKind, connect: ConnectorFactory
) -> bool:
    """Read one page of opt-outs or contacts. Returns whether there may be more."""
    claim = _claim(context, destination, kind, connect)
    if claim is None:
        return False
    asked_at = context.now()
    try:
        page = _fetch_page(claim)
        _backfill_from_page(claim, page)
        _ingest_page(claim, page, asked_at)
    except (ListingLeaseLost, LeaseExpired):
        return False
    except Exception as error:  # noqa: BLE001 - whatever a tool's response did to the connector
        _record_failure(context, claim, error)
        return False
    _schedule_next_page(context, claim, page)
    return not page.done and page.poll_after is None


def _fetch_page(claim: _ListingClaim) -> ContactPage[Any]:
    if claim.kind is ListingKind.PULL:
        return cast("SupportsPull", claim.connector).pull(claim.position.cursor)
    return cast("SupportsScan", claim.connector).scan(claim.position.cursor)


def _backfill_from_page(claim: _ListingClaim, page: ContactPage[Any]) -> None:
    """Settle rows of lists from a page of contacts, where pushing them is too slow."""
    destination, begun_at = claim.destination, claim.position.started_at
    if claim.kind is ListingKind.SCAN and can_backfill_by_scan(
        destination, claim.connector, begun_at
    ):
        assert begun_at
        backfill_page(destination, claim.connector, page.rows, claim.lease, claim.ends_at)
        if page.done:
            finish_pass(destination, begun_at)


def _ingest_page(
    claim: _ListingClaim, page: ContactPage[Any], asked_at: datetime
) -> VerificationStats:
    """Ingest a page that the tool was asked for at `asked_at` (UTC).

    Raises ListingLeaseLost, also for a page that is too old to be held against what was pushed
    since: it would pass for what the tool shows now. It is read again.
    """

    def advance_cursor(connection: Connection) -> None:
        if services().now() - asked_at >= PROPAGATION_DELAY:
            raise ListingLeaseLost
        verifying.advance(
            connection,
            claim.destination.id,
            claim.kind,
            claim.lease,
            cursor=None if page.done and claim.kind is ListingKind.SWEEP else page.cursor,
            rows=len(page.rows),
            until=claim.ends_at,
        )

    # A first pull and contacts are lists like an import; later pulls are recent acts of people.
    bulk = claim.kind is not ListingKind.PULL or claim.position.is_first_pass
    # Confirmed addresses are read back after a push and sampled: not all of them every night.
    read_back_confirmed = claim.kind is not ListingKind.SWEEP
    # The first pull lists everything that is off there, and so does each full pull.
    is_full_list = bulk or claim.connector.capabilities.pulls is ListingMode.FULL
    return ingest(
        claim.destination,
        claim.connector,
        page.rows,
        bulk=bulk,
        is_full_list=is_full_list,
        read_back_confirmed=read_back_confirmed,
        in_transaction=advance_cursor,
    )


def _schedule_next_page(context: Services, claim: _ListingClaim, page: ContactPage[Any]) -> None:
    number, now = claim.destination.id, context.now()
    if not page.done:
        at = now + (page.poll_after or timedelta(0))
        run_autocommit(lambda c: verifying.release(c, number, claim.kind, claim.lease, at))
        return
    next_at = _next_listing_at(context, claim, now)
    run_autocommit(
        lambda c: verifying.finish_pass(
            c, number, claim.kind, claim.lease, now=now, next_at=next_at
        )
    )
    log.info("listing_finished", **claim.destination.log_fields, kind=claim.kind)


def _next_listing_at(context: Services, claim: _ListingClaim, now: datetime) -> datetime:
    if claim.kind is ListingKind.READ:
        return now + SAMPLE_INTERVAL
    capabilities = claim.connector.capabilities
    listings = {ListingKind.PULL: capabilities.pulls, ListingKind.SCAN: capabilities.scans}
    if listings.get(claim.kind) is ListingMode.CHANGES:
        return now + CHANGES_INTERVAL
    if capabilities.backfills_by_scan and claim.kind is ListingKind.SCAN:
        backfill_at = next_pass_at(claim.destination, now)
        if backfill_at:
            return backfill_at
    begun_at = claim.position.started_at or now
    if now - begun_at <= SHORT_PASS_DURATION:
        return now + SHORT_PASS_INTERVAL
    # A pass of more than a day is followed by the next at once.
    return max(now, next_night(begun_at, ZoneInfo(context.settings.time_zone)))


def next_night(now: datetime, zone: ZoneInfo) -> datetime:
    """The next time that it is NIGHT_HOUR o'clock in `zone`."""
    local = now.astimezone(zone)
    night = local.replace(hour=NIGHT_HOUR, minute=0, second=0, microsecond=0)
    return night if night > local else night + timedelta(days=1)


def _read_back(context: Services, destination: Destination, connect: ConnectorFactory) -> bool:
    """Sample if that is due, then read back what is due. Returns whether there may be more."""
    claim = _claim(context, destination, ListingKind.READ, connect)
    ends_at = context.now() + LEASE_DURATION
    connector = claim.connector if claim else connect(destination, Lease(ends_at, context.now))
    try:
        more = read_back(destination, connector, until=ends_at, sample=claim is not None)
    except LeaseExpired:
        return False
    except Exception as error:  # noqa: BLE001 - whatever a tool's response did to the connector
        if claim:
            _record_failure(context, claim, error)
        log_failure("read_back_failed", destination, error)
        return False
    if claim:
        _schedule_next_page(context, claim, ContactPage((), None, done=True))
    return more


def _record_failure(context: Services, claim: _ListingClaim, error: Exception) -> None:
    """Retry the same page later. The destination's circuit stays closed: pushes may work.

    A wait for the rate limit is no failure, unless one follows another without a page between.
    """
    number, now = claim.destination.id, context.now()
    failures = claim.position.failures + 1
    reason = safe_message(error)
    if isinstance(error, RateLimited) and failures < MAX_WAITS:
        reason = ""
    else:
        log_failure("listing_failed", claim.destination, error, kind=claim.kind)
    next_at = _retry_at(context, error, failures, now)

    def write(connection: Connection) -> None:
        verifying.record_failure(
            connection,
            number,
            claim.kind,
            claim.lease,
            reason=reason,
            next_at=next_at,
            restart=isinstance(error, RequestRejected) and failures >= MAX_CURSOR_REJECTIONS,
        )
        begun_at = claim.position.started_at
        if claim.kind is ListingKind.PULL and begun_at and now - begun_at > MAX_PULL_WAIT:
            destinations.mark_pulled(connection, number, now)

    run_in_transaction(write)


def _retry_at(context: Services, error: Exception, failures: int, now: datetime) -> datetime:
    retry_after = error.retry_after if isinstance(error, DeliveryError) else None
    if isinstance(error, RateLimited):
        return now + min(retry_after or timedelta(0), PROBE_INTERVAL)
    if isinstance(error, DeliveryError) and error.permanent:
        return now + PROBE_INTERVAL
    jitter = context.random.random()
    return destination_retry(failures, now, retry_after=retry_after, jitter=jitter)
