"""The rotation brings all stored digests to a new digest key while the service runs.

No readable address is needed: a digest of the next key is made from the one before. Everybody goes
on with the old digests until one short transaction makes the new ones theirs
(docs/decisions/0061). Every step can be interrupted, and continues. Rows are changed some at a
time; `infra.keys.digest_tables` states how each table is brought to the next key.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from preference_center.core.errors import KeyMismatch, Unavailable, UnavailableCause
from preference_center.core.keys import NEXT_DIGEST, Keys
from preference_center.core.links.tokens import DIGEST_PREFIX_BYTES
from preference_center.infra.context import db, services
from preference_center.infra.db.connections import (
    DeadlineConnection,
    application_name,
    list_other_applications,
    load_digest_length,
)
from preference_center.infra.db.migrate import only_process
from preference_center.infra.db.transactions import (
    Connection,
    current_limits,
    override_limits,
    run_autocommit,
    run_in_transaction,
)
from preference_center.infra.keys import sealed_columns
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
from preference_center.infra.keys.sealed_columns import ColumnProgress, SealedColumn

_IGNORE_OWN_KEYS = "SELECT set_config('preference_center.rotating', 'on', true)"
"""So that the trigger does not void what is being written."""


_SELECT_ADDRESSES = """
SELECT id, channel, digest, ciphertext, domain_digest FROM address WHERE next_digest IS NULL
ORDER BY id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
"""


_SELECT_KEYS = "SELECT address_id, digest, kind FROM address_key WHERE address_id = ANY(%s)"


_INSERT_KEYS = """
INSERT INTO address_key (digest, channel, address_id, kind)
SELECT * FROM unnest(%s::bytea[], %s::text[], %s::bigint[], %s::smallint[]) ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING
"""


_UPDATE_ADDRESSES = """
UPDATE address a SET next_digest = given.digest, next_ciphertext = given.ciphertext,
    next_domain_digest = given.domain
FROM unnest(%s::bigint[], %s::bytea[], %s::bytea[], %s::bytea[])
    AS given (id, digest, ciphertext, domain)
WHERE a.id = given.id
"""


_SELECT_EXTERNAL_IDS = """
SELECT digest, ciphertext FROM contact_external_id WHERE next_digest IS NULL
ORDER BY digest LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
"""


_UPDATE_EXTERNAL_IDS = """
UPDATE contact_external_id e SET next_digest = given.next, next_ciphertext = given.ciphertext
FROM unnest(%s::bytea[], %s::bytea[], %s::bytea[]) AS given (digest, next, ciphertext)
WHERE e.digest = given.digest
"""


_CONVERT = "UPDATE {0} t SET {1} = given.new FROM unnest(%s::bytea[], %s::bytea[])"


_SINGLE_DIGESTS = (
    ("counted_bounce", "digest"),
    ("outgoing_mail", "recipient_digest"),
    ("email_stop", "digest"),
    ("burst", "domain_digest"),
    ("person_access", "digest"),
)


_CONVERT_SUBJECTS = """
UPDATE rights_request r SET subject_digests = ARRAY(
    SELECT given.new FROM unnest(r.subject_digests) WITH ORDINALITY AS stored (old, position)
    JOIN unnest(%s::bytea[], %s::bytea[]) AS given (old, new) ON given.old = stored.old
    ORDER BY position)
WHERE r.subject_digests <> '{}'
"""


class Rewrapping:
    """From one length of the digest chain to the next."""

    def __init__(self, keys: Keys, from_length: int) -> None:
        self._keys = keys
        self._from, self._to = from_length, from_length + 1

    def digest(self, old: bytes) -> bytes:
        """The new digest."""
        return self._keys.rewrap(old, self._from, self._to)

    def ciphertext(self, sealed: bytes | None, old: bytes, new: bytes) -> bytes | None:
        """The same text, sealed for the new digest."""
        if sealed is None:
            return None
        return self._keys.seal(self._keys.open(sealed, context=old), context=new)

    def prefix(self, old: bytes) -> bytes:
        """The match key by which mail tokens with the beginning of the old digest are found."""
        return self._keys.rewrap_prefix(old[:DIGEST_PREFIX_BYTES], self._from, self._to)

    def missing_keys(self, digest: bytes, stored: Mapping[bytes, int]) -> dict[bytes, int]:
        """The new match keys, with their kinds, that an address still lacks.

        A key is new if it is what another of its keys becomes, or the one of its old beginning.
        """
        new = {self.digest(key) for key in stored}
        prefix = self.prefix(digest)
        old = {key: kind for key, kind in stored.items() if key not in new and key != prefix}
        made = {self.digest(key): kind for key, kind in old.items()}
        if stored:  # not a row that is only locked
            made[prefix] = 0
        return {key: kind for key, kind in made.items() if key not in stored}

    def old_keys(self, stored: Mapping[bytes, int]) -> list[bytes]:
        """Those match keys of an address whose new form it has, too."""
        return [key for key in stored if self.digest(key) in stored]


def advance_addresses(connection: Connection, wrap: Rewrapping, limit: int) -> int:
    """Store the new digests and match keys of up to `limit` addresses; returns of how many.

    Addresses that somebody else has locked are left out.
    """
    connection.execute(_IGNORE_OWN_KEYS)
    rows = connection.execute(_SELECT_ADDRESSES, (limit,)).fetchall()
    stored = load_keys(connection, [row[0] for row in rows])
    keys: list[tuple[bytes, str, int, int]] = []
    values: list[tuple[int, bytes, bytes | None, bytes | None]] = []
    for address_id, channel, digest, ciphertext, domain in rows:
        new = wrap.digest(digest)
        missing = wrap.missing_keys(digest, stored[address_id])
        keys += [(key, channel, address_id, kind) for key, kind in missing.items()]
        values.append(
            (
                address_id,
                new,
                wrap.ciphertext(ciphertext, digest, new),
                None if domain is None else wrap.digest(domain),
            )
        )
    if keys:
        connection.execute(_INSERT_KEYS, _transpose(keys))
    if values:
        connection.execute(_UPDATE_ADDRESSES, _transpose(values))
    return len(rows)


def load_keys(connection: Connection, ids: Sequence[int]) -> dict[int, dict[bytes, int]]:
    """The match keys of each of these addresses, with their kinds."""
    found: dict[int, dict[bytes, int]] = {address_id: {} for address_id in ids}
    for address_id, digest, kind in connection.execute(_SELECT_KEYS, (list(ids),)):
        found[address_id][digest] = kind
    return found


def advance_external_ids(connection: Connection, wrap: Rewrapping, limit: int) -> int:
    """The same for external ids of contacts."""
    rows = connection.execute(_SELECT_EXTERNAL_IDS, (limit,)).fetchall()
    values = [
        (digest, new := wrap.digest(digest), wrap.ciphertext(ciphertext, digest, new))
        for digest, ciphertext in rows
    ]
    if values:
        connection.execute(_UPDATE_EXTERNAL_IDS, _transpose(values))
    return len(rows)


def convert_small_tables(connection: Connection, wrap: Rewrapping) -> None:
    """Convert the tables whose digests are not stored ahead. To be called once, when swapped."""
    for table, column in _SINGLE_DIGESTS:
        rows = connection.execute(
            f"SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL".encode()  # noqa: S608 - constants
        )
        old = [row[0] for row in rows]
        query = (
            _CONVERT.format(table, column) + f" AS given (old, new) WHERE t.{column} = given.old"
        )
        connection.execute(query.encode(), (old, [wrap.digest(each) for each in old]))
    rows = connection.execute("SELECT DISTINCT unnest(subject_digests) FROM rights_request")
    old = [row[0] for row in rows]
    connection.execute(_CONVERT_SUBJECTS, (old, [wrap.digest(each) for each in old]))
    for sealed in sealed_columns.SEALED_COLUMNS:
        if sealed.join:  # sealed for the digest of an address
            _seal_for_new_digest(connection, sealed, wrap)


def _seal_for_new_digest(connection: Connection, column: SealedColumn, wrap: Rewrapping) -> None:
    (key,) = column.key
    rows = connection.execute(
        f"""SELECT t.{key}, t.{column.column}, a.previous_digest, a.digest
        FROM {column.table} t {column.join} WHERE t.{column.column} IS NOT NULL""".encode()  # noqa: S608 - constants
    )
    for row, sealed, old, new in rows.fetchall():
        connection.execute(
            f"UPDATE {column.table} SET {column.column} = %s WHERE {key} = %s".encode(),  # noqa: S608
            (wrap.ciphertext(sealed, old, new), row),
        )


def clear_addresses(connection: Connection, wrap: Rewrapping, after: int, limit: int) -> int | None:
    """Delete the old digests of the next addresses after an id; returns the last id, or None.

    An old match key stays while an event has still to reach the forms that it finds.
    """
    rows = connection.execute(
        "SELECT id FROM address WHERE id > %s ORDER BY id LIMIT %s FOR NO KEY UPDATE",
        (after, limit),
    ).fetchall()
    if not rows:
        return None
    ids = [row[0] for row in rows]
    old = [
        (address_id, key)
        for address_id, stored in load_keys(connection, ids).items()
        for key in wrap.old_keys(stored)
    ]
    if old:
        connection.execute(
            """DELETE FROM address_key k USING unnest(%s::bigint[], %s::bytea[]) AS old (id, digest)
            WHERE k.digest = old.digest AND k.address_id = old.id
                AND NOT EXISTS (SELECT FROM deferred_form f WHERE f.digest = k.digest)""",
            _transpose(old),
        )
    connection.execute(
        """UPDATE address SET previous_digest = NULL, previous_ciphertext = NULL,
            previous_domain_digest = NULL
        WHERE id = ANY(%s) AND previous_digest IS NOT NULL""",
        (ids,),
    )
    return int(ids[-1])


def clear_external_ids(connection: Connection, after: bytes, limit: int) -> bytes | None:
    """The same for external ids, after a digest."""
    row = connection.execute(
        """WITH page AS (SELECT digest FROM contact_external_id WHERE digest > %s
            ORDER BY digest LIMIT %s FOR NO KEY UPDATE), cleared AS (
            UPDATE contact_external_id e SET previous_digest = NULL, previous_ciphertext = NULL
            FROM page WHERE e.digest = page.digest AND e.previous_digest IS NOT NULL)
        SELECT digest FROM page ORDER BY digest DESC LIMIT 1""",
        (after, limit),
    ).fetchone()
    return row[0] if row else None


def _transpose(rows: Sequence[Sequence[object]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


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


IDLE_TIMEOUT = 10.0
"""Seconds between two statements after which PostgreSQL ends a transaction of a rotation that is
frozen, or whose host is gone: it may hold rows, or every table."""


RETRY_DELAY = 5.0
"""Seconds before the next attempt, in which they go on."""


ROTATION_LOCK = 0x726F74617465
"""Advisory lock: one rotation at a time."""


_ADVANCE: dict[str, Callable[[Connection, Rewrapping, int], int]] = {
    ADDRESS.table: advance_addresses,
    EXTERNAL_ID.table: advance_external_ids,
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

    Safe to kill and to repeat; waits for another one that runs. Once it has begun, it can only be
    finished: processes without the new key are refused. Raises KeyMismatch if there is more than
    one new key, or a process does not have it yet, and Unavailable. Through a pooler the processes
    can't be seen: then `all_restarted` states that each has the key.
    """
    limits = replace(current_limits(), idle=IDLE_TIMEOUT)
    with (
        db.engine.connect() as connection,
        only_process(connection, ROTATION_LOCK, pause),
        override_limits(limits),
    ):
        _rotate(progress, pause, all_restarted=all_restarted)


def _rotate(
    progress: Callable[[ColumnProgress], None],
    pause: Callable[[float], None],
    *,
    all_restarted: bool,
) -> None:
    status = load_digest_status()
    if status.configured > status.in_use + 1:
        raise KeyMismatch("DIGEST_KEYS has more than one new key: add one key at a time.")
    if status.being_cleared:
        _clear(status.in_use - 1, pause)
    if status.configured == status.in_use:
        return
    run_in_transaction(_announce)
    if not all_restarted:
        try:
            _require_the_key_everywhere()
        except KeyMismatch:
            run_in_transaction(_withdraw)
            raise
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


def _announce(connection: Connection) -> None:
    """Let every new connection without the newest key be refused from now on (I2).

    A process without it would find no opt-out once the digests are swapped.
    """
    newest, fingerprint = _newest_key()
    connection.execute(
        "INSERT INTO key_fingerprint (key, fingerprint) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        (f"{NEXT_DIGEST}:{newest}", fingerprint),
    )


def _withdraw(connection: Connection) -> None:
    """Take `_announce` back, unless digests of the new key are stored already."""
    if not has_column(connection, ADDRESS.table, "next_digest"):
        newest, _ = _newest_key()
        connection.execute(
            "DELETE FROM key_fingerprint WHERE key = %s", (f"{NEXT_DIGEST}:{newest}",)
        )


def _newest_key() -> tuple[str, str]:
    """Its id and its fingerprint."""
    keys = services().keys
    newest = keys.digest_chain[-1][0]
    return newest, keys.fingerprints()[f"digest:{newest}"]


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
        lambda c: sealed_columns.start_rotation(c, column, key, context.now())
    )

    def work(connection: Connection) -> int:
        changed = _ADVANCE[table.table](connection, wrap, CHUNK_SIZE)
        sealed_columns.record_progress(connection, column, key, "", changed)
        return changed

    while changed := run_in_transaction(work):
        done += changed
        progress(ColumnProgress(column, done))


def _swap(connection: Connection, wrap: Rewrapping) -> bool:
    """Make the new digests those of everybody. False if too many rows lack them."""
    lock_for_swap(connection)
    for table in SWAPPED_TABLES:
        if count_without_next(connection, table, MAX_ROWS_AT_SWAP + 1) > MAX_ROWS_AT_SWAP:
            return False
        while _ADVANCE[table.table](connection, wrap, CHUNK_SIZE):
            pass
    swap_columns(connection)
    convert_small_tables(connection, wrap)
    newest, fingerprint = _newest_key()
    connection.execute(
        "INSERT INTO key_fingerprint (key, fingerprint) VALUES (%s, %s)",
        (f"digest:{newest}", fingerprint),
    )
    connection.execute("DELETE FROM key_fingerprint WHERE key = %s", (f"{NEXT_DIGEST}:{newest}",))
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
            partial(clear_addresses, wrap=wrap, after=after, limit=CHUNK_SIZE)
        )
    if run_in_transaction(lambda c: has_column(c, EXTERNAL_ID.table, "previous_digest")):
        _clear_external_ids(pause)
    key = f"digest:{context.keys.digest_id}"

    def finish(connection: Connection) -> None:
        drop_previous_columns(connection, ADDRESS)
        for table in SWAPPED_TABLES:
            sealed_columns.finish_rotation(connection, f"{table.table}.digest", key, context.now())

    _alter_tables(finish, pause)  # the last step: `previous_digest` shows that it is not done


def _clear_external_ids(pause: Callable[[float], None]) -> None:
    digest: bytes | None = b""
    while digest is not None:
        digest = run_in_transaction(partial(clear_external_ids, after=digest, limit=CHUNK_SIZE))
    _alter_tables(partial(drop_previous_columns, table=EXTERNAL_ID), pause)
