"""What connecting a tool would do, computed without writing anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from preference_center.destinations.destinations_connect import connect
from preference_center.destinations.leases import Lease
from preference_center.destinations.record import preview_ingest
from preference_center.destinations.rules.destination import Destination
from preference_center.destinations.store import backlog, destinations
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import Connector, SupportsPull


@dataclass(frozen=True, slots=True)
class SyncPreview:
    """What would be pushed, and what would be ingested.

    `ingest_counts` counts events by kind and scope; None if the tool's opt-outs can't be
    listed. `reported_count` is how many the tool reported, including our own and those of
    targets that are not mapped.
    """

    destination: Destination
    push_count: int
    ingest_counts: Counter[tuple[str, str]] | None
    reported_count: int = 0
    is_complete: bool = True
    """Whether all that the tool lists was read."""


def preview_destination(
    name: str,
    progress: Callable[[int], None] = lambda _: None,
    *,
    stop: Callable[[], bool] = lambda: False,
    max_pushes: int | None = None,
    lease: Lease | None = None,
) -> SyncPreview:
    """Read all opt-outs of the tool; `progress` is called with the number read so far.

    For somebody who waits: `stop` ends it after a page of what the tool lists, what would be
    pushed is counted to `max_pushes`, and no request begins after the end of `lease`.
    Raises DestinationError for an unknown name, DeliveryError if the tool can't be read.
    """
    context = services()
    destination = run_in_transaction(lambda c: destinations.get_by_name(c, context.keys, name))
    pushes = run_in_transaction(lambda c: backlog.count_pending(c, destination.id, max_pushes))
    connector = connect(destination, lease)
    if not connector.capabilities.can_pull:
        return SyncPreview(destination, pushes, None)
    counts, reported, is_complete = _preview_ingest(destination, connector, progress, stop)
    return SyncPreview(destination, pushes, counts, reported, is_complete)


def _preview_ingest(
    destination: Destination,
    connector: Connector,
    progress: Callable[[int], None],
    stop: Callable[[], bool],
) -> tuple[Counter[tuple[str, str]], int, bool]:
    counts: Counter[tuple[str, str]] = Counter()
    reported, cursor, done = 0, None, False
    while not done and not (cursor is not None and stop()):
        page = cast("SupportsPull", connector).pull(cursor)
        changes = preview_ingest(destination, connector, page.rows)
        counts.update((change.kind.value, change.scope) for change in changes)
        reported += len(page.rows)
        cursor, done = page.cursor, page.done
        progress(reported)
    return counts, reported, done
