"""What connecting a tool would do, looked at without writing anything anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from preference_center.context import services
from preference_center.destinations.connect import connect
from preference_center.domain.sync.destination import Destination
from preference_center.ingest.record import preview_ingest
from preference_center.integrations.base.contract import Connector, SupportsPull
from preference_center.storage.db.database import run_in_transaction
from preference_center.storage.sync import backlog, destinations


@dataclass(frozen=True, slots=True)
class SyncPreview:
    """What would be pushed, and what would be taken in.

    `takes` counts events by kind and scope; None if the tool's opt-outs can't be listed.
    `told` is how many the tool told, ours and those of no mapped topic included.
    """

    destination: Destination
    push_count: int
    ingest_counts: Counter[tuple[str, str]] | None
    reported_count: int = 0


def preview_destination(name: str, progress: Callable[[int], None]) -> SyncPreview:
    """Read all that people said in the tool; `progress` is told how much so far.

    Raises DestinationError for an unknown name, DeliveryError if the tool won't be read.
    """
    context = services()
    destination = run_in_transaction(lambda c: destinations.get_by_name(c, context.keys, name))
    pushes = run_in_transaction(backlog.load_backlogs)[name].pending_count
    connector = connect(destination)
    if not connector.capabilities.can_pull:
        return SyncPreview(destination, pushes, None)
    takes, told = _preview_ingest(destination, connector, progress)
    return SyncPreview(destination, pushes, takes, told)


def _preview_ingest(
    destination: Destination, connector: Connector, progress: Callable[[int], None]
) -> tuple[Counter[tuple[str, str]], int]:
    takes: Counter[tuple[str, str]] = Counter()
    told, cursor, done = 0, None, False
    while not done:
        page = cast("SupportsPull", connector).pull(cursor)
        changes = preview_ingest(destination, connector, page.rows)
        takes.update((change.kind.value, change.scope) for change in changes)
        told += len(page.rows)
        cursor, done = page.cursor, page.done
        progress(told)
    return takes, told
