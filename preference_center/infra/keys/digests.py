"""Bringing all stored digests to a new digest key while the service runs.

No readable address is needed: a digest of the next key is made from the one before. Everybody goes
on with the old digests until one short transaction makes the new ones theirs
(docs/decisions/0061). Every step can be interrupted, and continues.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from preference_center.core.errors import KeyMismatch, Unavailable, UnavailableCause
from preference_center.infra.context import services
from preference_center.infra.db.connections import DeadlineConnection
from preference_center.infra.db.database import (
    Connection,
    current_limits,
    override_limits,
    run_autocommit,
    run_in_transaction,
)
from preference_center.infra.db.digest_length import (
    application_name,
    list_other_applications,
    load_digest_length,
)
from preference_center.infra.keys import digest_chunks, key_rotations
from preference_center.infra.keys.digest_chunks import Rewrapping
from preference_center.infra.keys.digest_tables import (
    ADDRESS,
    CREATE_TRIGGERS,
    EXTERNAL_ID,
    SWAPPED_TABLES,
    SwappedTable,
    add_next_columns,
    add_next_indexes,
    count_without_next,
    create_trigger,
    drop_previous_columns,
    end_autovacuum,
    has_column,
    lock_for_swap,
    require_digests,
    swap_columns,
    validate_digests,
)
from preference_center.infra.keys.progress import ColumnProgress

T = TypeVar("T")

CHUNK_SIZE = 500
"""Rows of one transaction."""
MAX_ROWS_AT_SWAP = 2_000
"""Rows that may be left for the transaction that keeps everybody waiting."""
MAX_ATTEMPTS = 12
AUTOVACUUM_TIMEOUT = 3.0
"""Seconds that it waits for an autovacuum to end, which nobody else does. PostgreSQL ends one that
is in the way for more than a second."""
TABLE_LOCK_TIMEOUT = 0.5
"""Seconds that it waits for a table. Everybody else waits behind it."""
RETRY_DELAY = 5.0
"""Seconds before the next attempt, in which they go on."""
STALE_REQUEST_SECONDS = 15.0
"""How long a request may go on with a digest that it made before the swap: see
`database_timeouts`."""

_ADVANCE: dict[str, Callable[[Connection, Rewrapping, int], int]] = {
    ADDRESS.table: digest_chunks.advance_addresses,
    EXTERNAL_ID.table: digest_chunks.advance_external_ids,
}


@dataclass(frozen=True, slots=True)
class DigestStatus:
    """How many digest keys are configured, and with how many the stored digests were made."""

    configured: int
    in_use: int
    being_cleared: bool
    """Whether the old digests have still to be deleted."""


def load_digest_status() -> DigestStatus:
    """How far the rotation is."""
    keys = services().keys

    def load(connection: Connection) -> DigestStatus:
        return DigestStatus(
            len(keys.digest_chain),
            load_digest_length(connection) or len(keys.digest_chain),
            has_column(connection, ADDRESS.table, "previous_digest"),
        )

    return run_in_transaction(load)


def rotate_digests(
    progress: Callable[[ColumnProgress], None],
    pause: Callable[[float], None] = time.sleep,
    *,
    all_restarted: bool = False,
) -> None:
    """Bring every digest to the newest of DIGEST_KEYS, one key further than before.

    Safe to kill and to repeat. Raises KeyMismatch if there is more than one new key, or a process
    does not have it yet, and Unavailable. Through a pooler the processes can't be seen: then
    `all_restarted` states that each has the key.
    """
    status = load_digest_status()
    if status.configured > status.in_use + 1:
        raise KeyMismatch("DIGEST_KEYS has more than one new key: add one key at a time.")
    if status.being_cleared:
        _clear(status.in_use - 1, pause)
    if status.configured == status.in_use:
        return
    if not all_restarted:
        _require_the_key_everywhere()
    wrap = Rewrapping(services().keys, status.in_use)
    for table in SWAPPED_TABLES:
        _alter_tables(partial(add_next_columns, table=table), pause)
    for trigger in CREATE_TRIGGERS:
        _alter_tables(partial(create_trigger, trigger=trigger), pause)
    run_autocommit(add_next_indexes, allow_total=True, never_in_transaction=True)
    swapped = False
    while not swapped:
        for table in SWAPPED_TABLES:
            _advance(table, wrap, progress)
        swapped = _alter_tables(partial(_swap, wrap=wrap), pause)
    pause(STALE_REQUEST_SECONDS)
    _clear(status.in_use, pause)


def _alter_tables(work: Callable[[Connection], T], pause: Callable[[float], None]) -> T:
    """`work` in a transaction that locks tables; again while other transactions hold them."""

    def without_autovacuum(connection: Connection) -> T:
        _limit_locks(connection, AUTOVACUUM_TIMEOUT)
        end_autovacuum(connection)
        _limit_locks(connection, TABLE_LOCK_TIMEOUT)
        return work(connection)

    limits = replace(current_limits(), lock=TABLE_LOCK_TIMEOUT, retry=0.0)
    for attempt in range(MAX_ATTEMPTS):
        if attempt:
            pause(RETRY_DELAY)
        try:
            with override_limits(limits):
                return run_in_transaction(without_autovacuum)
        except Unavailable as error:
            if error.cause is not UnavailableCause.LOCK_TIMEOUT:
                raise
    raise Unavailable(
        "other transactions kept the tables locked: end long ones, e.g. a snapshot or a dump, and"
        " run this again"
    )


def _limit_locks(connection: Connection, seconds: float) -> None:
    limit = f"{seconds * 1000:.0f}ms"
    connection.execute("SELECT set_config('lock_timeout', %s, true)", (limit,))


def _require_the_key_everywhere() -> None:
    if run_in_transaction(lambda c: isinstance(c, DeadlineConnection) and c.is_pooled):
        raise KeyMismatch(
            "Through a pooler it can't be seen which processes have the new digest key: one without"
            " it would find no opt-out. Restart every process with it, and run this again with"
            " --all-restarted."
        )
    others = run_in_transaction(
        lambda c: list_other_applications(c, application_name(services().keys))
    )
    if others:
        raise KeyMismatch(
            f"{len(others)} sessions belong to processes that do not have the new digest key"
            f" (processes of the server: {', '.join(map(str, others))}). Add it at the end of the"
            " DIGEST_KEYS of every process, restart them, and run this again."
        )


def _advance(
    table: SwappedTable, wrap: Rewrapping, progress: Callable[[ColumnProgress], None]
) -> None:
    """Store new digests until few rows lack them; those that are locked are left for later."""
    context = services()
    column, key = f"{table.table}.digest", f"digest:{context.keys.digest_chain[-1][0]}"
    _, done = run_in_transaction(
        lambda c: key_rotations.start_rotation(c, column, key, context.now())
    )

    def work(connection: Connection) -> int:
        changed = _ADVANCE[table.table](connection, wrap, CHUNK_SIZE)
        key_rotations.record_progress(connection, column, key, "", changed)
        return changed

    while changed := run_in_transaction(work):
        done += changed
        progress(ColumnProgress(column, done))


def _swap(connection: Connection, wrap: Rewrapping) -> bool:
    """Make the new digests those of everybody. False if too many rows lack them."""
    keys = services().keys
    lock_for_swap(connection)
    for table in SWAPPED_TABLES:
        if count_without_next(connection, table, MAX_ROWS_AT_SWAP + 1) > MAX_ROWS_AT_SWAP:
            return False
        while _ADVANCE[table.table](connection, wrap, CHUNK_SIZE):
            pass
    swap_columns(connection)
    digest_chunks.convert_small_tables(connection, wrap)
    newest = f"digest:{keys.digest_chain[-1][0]}"
    connection.execute(
        "INSERT INTO key_fingerprint (key, fingerprint) VALUES (%s, %s)",
        (newest, keys.fingerprints()[newest]),
    )
    return True


def _clear(from_length: int, pause: Callable[[float], None]) -> None:
    """Delete the old digests; then the rotation is done."""
    context = services()
    wrap = Rewrapping(context.keys, from_length)
    run_autocommit(validate_digests, allow_total=True, never_in_transaction=True)
    for table in SWAPPED_TABLES:
        _alter_tables(partial(require_digests, table=table), pause)
    after: int | None = 0
    while after is not None:
        after = run_in_transaction(
            partial(digest_chunks.clear_addresses, wrap=wrap, after=after, limit=CHUNK_SIZE)
        )
    if run_in_transaction(lambda c: has_column(c, EXTERNAL_ID.table, "previous_digest")):
        _clear_external_ids(pause)
    key = f"digest:{context.keys.digest_id}"

    def finish(connection: Connection) -> None:
        drop_previous_columns(connection, ADDRESS)
        for table in SWAPPED_TABLES:
            key_rotations.finish_rotation(connection, f"{table.table}.digest", key, context.now())

    _alter_tables(finish, pause)  # the last step: `previous_digest` shows that it is not done


def _clear_external_ids(pause: Callable[[float], None]) -> None:
    digest: bytes | None = b""
    while digest is not None:
        digest = run_in_transaction(
            partial(digest_chunks.clear_external_ids, after=digest, limit=CHUNK_SIZE)
        )
    _alter_tables(partial(drop_previous_columns, table=EXTERNAL_ID), pause)
