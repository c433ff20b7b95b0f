"""Remove what is past its retention, by the rules of the catalogue and DEFAULT_RETENTION.

Evidence, acknowledgements and audit entries are deleted, addresses and closed accounts are erased
like at a person's own request. Each kind is walked once a day in windows of rows; every window is
a transaction, so a run can be killed anywhere and goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from preference_center.catalogue import DEFAULT_RETENTION, RetainedData, RetentionRule
from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights import rights_retention
from preference_center.rights.erasure.erase import erase_addresses
from preference_center.rights.rights_retention import RetentionRun
from preference_center.rights.rules.model import Extent
from preference_center.rights.statistics import count_finished_months

WINDOW = 5_000
"""How many rows one transaction looks at."""
RUN_INTERVAL = timedelta(days=1)
WINDOWS_PER_TICK = 20

_ERASED: dict[RetainedData, Extent] = {
    RetainedData.SUPPRESSED_ADDRESSES: Extent.MARKETING,
    RetainedData.CLOSED_ACCOUNTS: Extent.ACCOUNT,
}
"""The kinds that are erased, here and in tools; the others are deleted here."""


@dataclass(frozen=True, slots=True)
class PlannedRemoval:
    """What one rule would remove now: `items` are ids of its kind of data."""

    kind: RetainedData
    rule: RetentionRule
    before: datetime
    items: tuple[Any, ...]


def retention_rules() -> dict[RetainedData, RetentionRule]:
    """The rules that apply: those of the catalogue, and DEFAULT_RETENTION where it has none."""
    rules = current_catalogue_or_empty().retention
    missing = {kind: rule for kind, rule in DEFAULT_RETENTION.items() if kind not in rules}
    return {**rules, **missing}


def plan_retention(
    now: datetime, progress: Callable[[RetainedData, int], None] | None = None
) -> Iterator[PlannedRemoval]:
    """What each rule would remove at `now`; changes nothing.

    `progress(kind, rows)` is called after each window with how many rows were looked at, at
    most. Raises Unavailable.
    """
    for kind, rule in retention_rules().items():
        before = now - rule.duration
        items: list[Any] = []
        position, windows = 0, 0
        while (found := _find_next(kind, before, now, position)) is not None:
            position, expired = found
            items += expired
            windows += 1
            if progress:
                progress(kind, windows * WINDOW)
        yield PlannedRemoval(kind, rule, before, tuple(items))


def run_retention(now: datetime, max_windows: int | None = WINDOWS_PER_TICK) -> int:
    """Remove what is past its retention, up to `max_windows` windows of rows; None: all there is.

    Returns how many items were removed. A kind is walked again a day after its last run began.
    Before a run begins, finished months are counted. Raises Unavailable; what was removed stays
    removed.
    """
    rules = current_catalogue_or_empty().retention
    if run_in_transaction(lambda connection: _any_begins(connection, rules, now)):
        count_finished_months(now)
    left = max_windows
    removed = 0
    for kind, rule in retention_rules().items():
        while left is None or left > 0:
            step = _run_window(kind, now - rule.duration, now)
            if step is None:
                break
            removed += step
            left = None if left is None else left - 1
    return removed


def _run_window(kind: RetainedData, before: datetime, now: datetime) -> int | None:
    """Remove what the next window of a run holds; None if no run is due."""
    extent = _ERASED.get(kind)

    def step(connection: Connection) -> tuple[RetentionRun, list[Any]] | None:
        run = _due_run(connection, kind, now)
        if run is None:
            return None
        found = _next_window(connection, kind, before, now, run.position)
        position, items = found or (run.position, [])
        moved = replace(
            run,
            position=position,
            removed=run.removed + len(items),
            finished_at=None if found else now,
        )
        if extent is None:
            rights_retention.delete_expired(connection, kind, items)
            rights_retention.save_run(connection, moved)
        return moved, items

    found = run_in_transaction(step)
    if found is None:
        return None
    run, items = found
    if extent is not None:
        # Erased before the position is stored: a run that is killed finds them again, or gone.
        erase_addresses(items, extent, origin=RequestOrigin("retention", "retention", now))
        run_in_transaction(lambda connection: rights_retention.save_run(connection, run))
    return len(items)


def _due_run(connection: Connection, kind: RetainedData, now: datetime) -> RetentionRun | None:
    run = rights_retention.load_run(connection, kind)
    if run is not None and run.finished_at is None:
        return run
    if run is not None and now - run.started_at < RUN_INTERVAL:
        return None
    return RetentionRun(kind, position=0, removed=0, started_at=now, finished_at=None)


def _any_begins(connection: Connection, rules: Collection[RetainedData], now: datetime) -> bool:
    """Whether a run of one of these kinds has not begun yet."""
    due = (_due_run(connection, kind, now) for kind in rules)
    return any(run is not None and run.position == 0 for run in due)


def _find_next(
    kind: RetainedData, before: datetime, now: datetime, after: int
) -> tuple[int, list[Any]] | None:
    return run_in_transaction(lambda connection: _next_window(connection, kind, before, now, after))


def _next_window(
    connection: Connection, kind: RetainedData, before: datetime, now: datetime, after: int
) -> tuple[int, list[Any]] | None:
    """Where the next window ends, and what of it has expired; None after the last row."""
    up_to = rights_retention.window_end(connection, kind, after=after, rows=WINDOW)
    if up_to is None:
        return None
    return up_to, rights_retention.find_expired(
        connection, kind, before, now, after=after, up_to=up_to
    )


def retained_addresses(planned: PlannedRemoval) -> list[int]:
    """The ids of the addresses that a plan concerns; none for evidence, deliveries and audit."""
    return list(planned.items) if planned.kind in _ERASED else []
