"""What connecting a tool would do, looked at without writing anything anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from preference_center.destinations.connect import connect
from preference_center.domain.sync.destination import Destination
from preference_center.extensions import services
from preference_center.ingest.record import would_take
from preference_center.integrations.base.contract import Connector, Pullable
from preference_center.storage.db.database import run
from preference_center.storage.sync import backlog, destinations


@dataclass(frozen=True, slots=True)
class Observed:
    """What would be pushed, and what would be taken in.

    `takes` counts events by kind and scope; None if the tool's opt-outs can't be listed.
    `told` is how many the tool told, ours and those of no mapped topic included.
    """

    destination: Destination
    pushes: int
    takes: Counter[tuple[str, str]] | None
    told: int = 0


def observe(name: str, progress: Callable[[int], None]) -> Observed:
    """Read all that people said in the tool; `progress` is told how much so far.

    Raises DestinationError for an unknown name, DeliveryError if the tool won't be read.
    """
    context = services()
    destination = run(lambda c: destinations.by_name(c, context.keys, name))
    pushes = run(backlog.pending)[name].waiting
    connector = connect(destination)
    if not connector.capabilities.can_pull:
        return Observed(destination, pushes, None)
    takes, told = _read(destination, connector, progress)
    return Observed(destination, pushes, takes, told)


def _read(
    destination: Destination, connector: Connector, progress: Callable[[int], None]
) -> tuple[Counter[tuple[str, str]], int]:
    takes: Counter[tuple[str, str]] = Counter()
    told, cursor, done = 0, None, False
    while not done:
        page = cast("Pullable", connector).pull(cursor)
        changes = would_take(destination, connector, page.rows)
        takes.update((change.kind.value, change.scope) for change in changes)
        told += len(page.rows)
        cursor, done = page.cursor, page.done
        progress(told)
    return takes, told
