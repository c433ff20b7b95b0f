"""Sealing all that is stored with the first key of the ring, so that older ones can be removed."""

from __future__ import annotations

from collections.abc import Callable

from preference_center.core.errors import KeyMismatch
from preference_center.infra.context import services
from preference_center.infra.db.database import Connection, run_in_transaction
from preference_center.infra.keys import key_rotations
from preference_center.infra.keys.progress import ColumnProgress
from preference_center.infra.keys.sealed_columns import (
    SEALED_COLUMNS,
    SealedColumn,
    count_by_key,
    reseal_chunk,
)

MAX_PASSES = 3
"""Passes over a column before giving up: the first one leaves out rows that are locked."""


def count_sealed() -> dict[str, dict[str, int]]:
    """For each sealed column, how many rows each encryption key has sealed."""
    return {
        column.name: run_in_transaction(lambda c, column=column: count_by_key(c, column))  # type: ignore[misc]
        for column in SEALED_COLUMNS
    }


def rotate_encryption(progress: Callable[[ColumnProgress], None]) -> None:
    """Seal every row with the first encryption key. Safe to kill and to repeat: it continues.

    Raises KeyMismatch if rows with other keys remain, since a process that has not got the new
    keys writes them.
    """
    for column in SEALED_COLUMNS:
        for number in range(MAX_PASSES):
            _pass_over(column, progress, wait=number > 0)
            if not _stale(column):
                break
        else:
            raise KeyMismatch(
                f"{column.name}: rows are still sealed with an older key. Put the new one first in"
                " the ENCRYPTION_KEYS of every process, restart them, and run this again."
            )
        run_in_transaction(lambda c, column=column: _finish(c, column))  # type: ignore[misc]


def _pass_over(
    column: SealedColumn, progress: Callable[[ColumnProgress], None], *, wait: bool
) -> None:
    context = services()
    key_id = context.keys.encryption_id
    last, rows_done = run_in_transaction(
        lambda c: key_rotations.start_rotation(c, column.name, key_id, context.now())
    )

    def work(connection: Connection) -> tuple[str | None, int]:
        result = reseal_chunk(connection, context.keys, column, last, wait=wait)
        key_rotations.record_progress(
            connection, column.name, key_id, result.last or "", result.changed
        )
        return result.last, result.changed

    following: str | None = last
    while following is not None:
        last = following
        following, changed = run_in_transaction(work)
        rows_done += changed
        if changed:
            progress(ColumnProgress(column.name, rows_done))


def _stale(column: SealedColumn) -> bool:
    current = services().keys.encryption_id
    return run_in_transaction(lambda c: count_by_key(c, column)).keys() - {current} != set()


def _finish(connection: Connection, column: SealedColumn) -> None:
    context = services()
    key_rotations.finish_rotation(
        connection, column.name, context.keys.encryption_id, context.now()
    )
