"""The rotation seals all stored data with the ring's first key, so that older keys can be removed.

`SEALED_COLUMNS` lists every column that is sealed with the encryption keys: its rows, and what
each is sealed for. A seal holds in one place only (`Keys.seal`): its context is made here, to seal,
to open and to rotate. A test compares `SEALED_COLUMNS` with `rights.erasure.personal_data`.

The table `key_rotation` states how far rotations have come: one row per column and key that it is
brought to. `ColumnProgress` is what a rotation reports while it runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from preference_center.core.errors import KeyMismatch
from preference_center.core.keys import Keys
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A sealed column of `table`.

    `key` are the columns that identify a row, with their types. `context_columns` are the values
    from which `context` makes the context; `join` is where they come from, if not from the
    table, whose alias is t. `chunk` is how many rows are sealed again in one transaction.
    """

    table: str
    column: str
    key: Mapping[str, str]
    context_columns: Sequence[str]
    context: Callable[..., bytes]
    join: str = ""
    chunk: int = 500

    @property
    def name(self) -> str:
        """As in `key_rotation`."""
        return f"{self.table}.{self.column}"


@dataclass(frozen=True, slots=True)
class ResealResult:
    """Of one chunk: the key of its last row, None after the last chunk, and how many changed."""

    last: str | None
    changed: int


def digest_context(digest: bytes) -> bytes:
    """Of what is found by a digest: the digest."""
    return bytes(digest)


def event_evidence_context(event_id: UUID) -> bytes:
    """Of what others wrote in the evidence of an event."""
    return b"event_evidence " + event_id.bytes


def destination_context(name: str) -> bytes:
    """Of a destination's settings."""
    return name.encode()


def outgoing_mail_context(email_id: UUID) -> bytes:
    """Of a mail that is to be sent."""
    return b"outgoing_mail " + email_id.bytes


def review_queue_context(item_id: UUID) -> bytes:
    """Of the beginning of a mail."""
    return b"kept_mail " + item_id.bytes


def webhook_context(webhook_id: UUID) -> bytes:
    """Of a webhook's body."""
    return webhook_id.bytes


def import_part_context(import_id: UUID, part_number: int) -> bytes:
    """Of a part of a list that was uploaded."""
    return b"list_import_part " + import_id.bytes + part_number.to_bytes(4)


def rights_request_context(request_id: UUID) -> bytes:
    """Of the words of a request."""
    return b"rights_request " + request_id.bytes


def rights_proof_context(proof_id: UUID) -> bytes:
    """Of an uploaded proof."""
    return b"rights_proof " + proof_id.bytes


def rights_file_context(request_id: UUID, number: int) -> bytes:
    """Of a part of a file that answers a request."""
    return b"rights_file " + request_id.bytes + number.to_bytes(4)


def person_access_context(access_id: UUID) -> bytes:
    """Of the address that somebody of the staff looked up."""
    return b"person_access " + access_id.bytes


def staff_account_context(name: str) -> bytes:
    """Of the secret that somebody on staff shares with an authenticator."""
    return b"staff_account " + name.encode()


def staff_session_context(session_id: UUID) -> bytes:
    """Of the tokens of an OpenID Connect provider."""
    return b"staff_session " + session_id.bytes


_ID, _UUID, _DIGEST = {"id": "bigint"}, {"id": "uuid"}, {"digest": "bytea"}


SEALED_COLUMNS = (
    SealedColumn("address", "ciphertext", _ID, ["t.digest"], digest_context),
    SealedColumn(
        "event_evidence",
        "sealed",
        {"event_id": "uuid"},
        ["t.event_id"],
        event_evidence_context,
    ),
    SealedColumn("contact_external_id", "ciphertext", _DIGEST, ["t.digest"], digest_context),
    SealedColumn("destination", "settings", {"id": "integer"}, ["t.name"], destination_context),
    SealedColumn("outgoing_mail", "ciphertext", _UUID, ["t.id"], outgoing_mail_context),
    SealedColumn("review_queue", "head", _UUID, ["t.id"], review_queue_context, chunk=50),
    SealedColumn("webhook_inbox", "body", _UUID, ["t.id"], webhook_context, chunk=50),
    SealedColumn(
        "list_import_part",
        "content",
        {"import_id": "uuid", "number": "integer"},
        ["t.import_id", "t.number"],
        import_part_context,
        chunk=5,
    ),
    SealedColumn("idempotent_response", "ciphertext", _DIGEST, ["t.digest"], digest_context),
    SealedColumn("rights_request", "sealed", _UUID, ["t.id"], rights_request_context),
    SealedColumn("rights_proof", "content", _UUID, ["t.id"], rights_proof_context, chunk=5),
    SealedColumn(
        "rights_file",
        "content",
        {"request_id": "uuid", "number": "integer"},
        ["t.request_id", "t.number"],
        rights_file_context,
        chunk=5,
    ),
    SealedColumn("person_access", "ciphertext", _UUID, ["t.id"], person_access_context),
    SealedColumn(
        "staff_account", "totp_secret", {"id": "integer"}, ["t.name"], staff_account_context
    ),
    SealedColumn("staff_session", "tokens", _UUID, ["t.id"], staff_session_context),
    # A copy of the address's own ciphertext, which is null from then on.
    SealedColumn(
        "erasure",
        "ciphertext",
        _UUID,
        ["a.digest"],
        digest_context,
        join="JOIN address a ON a.id = t.address_id",
    ),
)


_KEY_ID = "convert_from(substring({0} FROM 3 FOR get_byte({0}, 1)), 'UTF8')"
"""The key id in the header of what `Keys.seal` returns."""


def count_by_key(connection: Connection, column: SealedColumn) -> dict[str, int]:
    """How many rows each encryption key has sealed. Reads the whole table."""
    key_id = _KEY_ID.format(column.column)
    rows = connection.execute(
        f"SELECT {key_id}, count(*) FROM {column.table}"  # noqa: S608 - names of tables
        f" WHERE {column.column} IS NOT NULL GROUP BY 1 ORDER BY 1".encode()
    )
    return dict(rows.fetchall())


def reseal_chunk(
    connection: Connection, keys: Keys, column: SealedColumn, after: str, *, wait: bool
) -> ResealResult:
    """Seal the next rows after a key with the first key of the ring, if another one sealed them.

    `after` is `ResealResult.last`, or "" to begin. Unless it may `wait`, rows that somebody else
    has locked are skipped: then it can't cause a deadlock, and another pass has few rows left.
    Raises KeyMismatch and DecryptionError.
    """
    last = json.loads(after) if after else []
    rows = connection.execute(_select(column, last, wait=wait), [*last, column.chunk]).fetchall()
    if not rows:
        return ResealResult(None, 0)
    size = len(column.key)
    stale = [row for row in rows if keys.sealing_key_id(row[size]) != keys.encryption_id]
    sealed = [keys.reseal(row[size], context=column.context(*row[size + 1 :])) for row in stale]
    if stale:
        given = [*([row[number] for row in stale] for number in range(size)), sealed]
        connection.execute(_update(column), given)
    return ResealResult(json.dumps(rows[-1][:size]), len(stale))


def _select(column: SealedColumn, last: Sequence[str], *, wait: bool) -> bytes:
    keys = ", ".join(f"t.{name}" for name in column.key)
    columns = [f"t.{name}::text" for name in column.key]
    columns += [f"t.{column.column}", *column.context_columns]
    bounds = ", ".join(f"%s::{type_}" for type_ in column.key.values())
    after = f"AND ({keys}) > ({bounds})" if last else ""
    return (
        f"SELECT {', '.join(columns)} FROM {column.table} t {column.join}"  # noqa: S608 - names of tables
        f" WHERE t.{column.column} IS NOT NULL {after} ORDER BY {keys} LIMIT %s"
        f" FOR NO KEY UPDATE OF t {'' if wait else 'SKIP LOCKED'}"
    ).encode()


def _update(column: SealedColumn) -> bytes:
    arrays = ", ".join("%s::text[]" for _ in column.key)
    matched = " AND ".join(
        f"t.{name} = given.{name}::{type_}" for name, type_ in column.key.items()
    )
    return (
        f"UPDATE {column.table} t SET {column.column} = given.sealed"  # noqa: S608 - names of tables
        f" FROM unnest({arrays}, %s::bytea[]) AS given ({', '.join(column.key)}, sealed)"
        f" WHERE {matched}"
    ).encode()


@dataclass(frozen=True, slots=True)
class ColumnProgress:
    """How many rows of a column have the new key, by this run and before it was interrupted."""

    column: str
    rows_done: int


_START = """
INSERT INTO key_rotation AS r ("column", key_id, started_at) VALUES (%(column)s, %(key)s, %(now)s)
ON CONFLICT ("column", key_id) DO UPDATE SET finished_at = NULL,
    last = CASE WHEN r.finished_at IS NULL THEN r.last ELSE '' END
RETURNING last, rows_done
"""


@dataclass(frozen=True, slots=True)
class Rotation:
    """The rotation of one column to one key; `last` is where it continues."""

    column: str
    key_id: str
    rows_done: int
    started_at: datetime
    finished_at: datetime | None


def start_rotation(
    connection: Connection, column: str, key_id: str, now: datetime
) -> tuple[str, int]:
    """Begin, or continue, the rotation of a column: where, and how many rows were changed so far.

    A finished one begins again, for rows that a process with older keys has written since.
    """
    row = connection.execute(_START, {"column": column, "key": key_id, "now": now}).fetchone()
    assert row  # an upsert without a condition
    return row[0], row[1]


def record_progress(
    connection: Connection, column: str, key_id: str, last: str, changed: int
) -> None:
    """Store where the next chunk begins, in the transaction of this one."""
    connection.execute(
        """UPDATE key_rotation SET last = %s, rows_done = rows_done + %s
        WHERE "column" = %s AND key_id = %s""",
        (last, changed, column, key_id),
    )


def finish_rotation(connection: Connection, column: str, key_id: str, now: datetime) -> None:
    """Record that no row of the column has an older key."""
    connection.execute(
        """UPDATE key_rotation SET finished_at = %s WHERE "column" = %s AND key_id = %s""",
        (now, column, key_id),
    )


def list_rotations(connection: Connection) -> list[Rotation]:
    """All rotations, the oldest first."""
    rows = connection.execute(
        """SELECT "column", key_id, rows_done, started_at, finished_at FROM key_rotation
        ORDER BY started_at, "column" """
    )
    return [Rotation(*row) for row in rows]


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
    key_id, now = services().keys.encryption_id, services().now
    for column in SEALED_COLUMNS:
        for number in range(MAX_PASSES):
            _pass_over(column, progress, wait=number > 0)
            counted = run_in_transaction(lambda c, column=column: count_by_key(c, column))  # type: ignore[misc]
            if not counted.keys() - {key_id}:
                break
        else:
            raise KeyMismatch(
                f"{column.name}: rows are still sealed with an older key. Put the new one first in"
                " the ENCRYPTION_KEYS of every process, restart them, and run this again."
            )
        run_in_transaction(lambda c, name=column.name: finish_rotation(c, name, key_id, now()))  # type: ignore[misc]


def _pass_over(
    column: SealedColumn, progress: Callable[[ColumnProgress], None], *, wait: bool
) -> None:
    context = services()
    key_id = context.keys.encryption_id
    last, rows_done = run_in_transaction(
        lambda c: start_rotation(c, column.name, key_id, context.now())
    )

    def work(connection: Connection) -> tuple[str | None, int]:
        result = reseal_chunk(connection, context.keys, column, last, wait=wait)
        record_progress(connection, column.name, key_id, result.last or "", result.changed)
        return result.last, result.changed

    following: str | None = last
    while following is not None:
        last = following
        following, changed = run_in_transaction(work)
        rows_done += changed
        if changed:
            progress(ColumnProgress(column.name, rows_done))
