"""A snapshot is a Parquet file with every fact that decides, of all addresses, and no address.

It is for lists that are scrubbed elsewhere, and is made by one consistent read. What
`ledger.store.lookup.load_facts` finds for one address, a snapshot has for everybody: a row per
fact and digest, without sealed text.

Its rows have the columns `FACT_COLUMNS`; its metadata contain watermark, catalogue, and
fingerprints of the digest keys. Digests are keyed, so nobody can look up addresses in a stolen
snapshot without the key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from psycopg.abc import Buffer

from preference_center.catalogue import Catalogue, parse_catalogue
from preference_center.core.addresses import NORM_VERSION, KeyKind
from preference_center.core.errors import CatalogueError, InvalidSnapshot
from preference_center.core.events import ALL_MARKETING, EventKind
from preference_center.core.keys import Keys
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.infra.duckdb import (
    ScrubError,
    glob_safe_path_literal,
    read_parquet_metadata,
    write_parquet,
)
from preference_center.infra.files import atomic_files
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.ledger.feed.cursors import open_ledger_snapshot
from preference_center.ledger.restore_gate import require_complete_database

FACT_COLUMNS: Mapping[str, str] = {
    "digest": "VARCHAR",
    "channel": "VARCHAR",
    "kind": "SMALLINT",
    "scope": "VARCHAR",
    "out_at": "BIGINT",
    "out_event": "VARCHAR",
    "reason": "VARCHAR",
    "lift_at": "BIGINT",
    "pause_at": "BIGINT",
    "pause_until": "BIGINT",
    "consent_at": "BIGINT",
}
"""The columns of a fact and their SQL types.

`digest` is hexadecimal: 64 digits, or 32 where an opt-out by mail names an address by half of
its digest. `kind` is a `KeyKind`. Times are microseconds since 1970, UTC.
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The metadata of a snapshot."""

    format: int
    taken_at: str
    """Of a replica, so much earlier as it was behind."""
    watermark: str
    norm_version: int
    catalogue_version: int
    catalogue: str
    fingerprints: Mapping[str, str]
    """Of the digest keys."""
    md5: bool
    """Whether some addresses are known by an MD5 only: look up the `md5_keys`, too."""
    facts: int
    """How many rows it has."""

    @property
    def at(self) -> datetime:
        """When it was taken."""
        return datetime.fromisoformat(self.taken_at)

    def read_catalogue(self) -> Catalogue:
        """The catalogue that was in force. Raises CatalogueError."""
        return parse_catalogue(self.catalogue)


def _micros(column: str) -> str:
    return f"(extract(epoch FROM {column}) * 1000000)::bigint"


# As LOOK_UP_BY_DIGEST in `ledger.store.lookup`, for every digest.
_SELECT_FACTS = f"""
SELECT encode(k.digest, 'hex'), k.channel, k.kind, s.scope, {_micros("s.out_at")},
    replace(s.out_event::text, '-', ''), s.reason, {_micros("s.lift_at")},
    {_micros("s.pause_at")}, {_micros("s.pause_until")}, NULL::bigint
FROM address_key k JOIN suppression s ON s.address_id = k.address_id
WHERE COALESCE(s.out_at, s.lift_at, s.pause_at) IS NOT NULL
UNION ALL
SELECT encode(k.digest, 'hex'), k.channel, k.kind, c.topic, NULL, NULL, NULL, NULL, NULL, NULL,
    {_micros("c.at")}
FROM address_key k JOIN consent c ON c.address_id = k.address_id
WHERE k.kind & {KeyKind.EXACT:d} <> 0
UNION ALL
SELECT encode(u.digest_prefix, 'hex'), 'email', {KeyKind.EXACT | KeyKind.MAILBOX:d},
    COALESCE(u.scope, '{ALL_MARKETING}'), {_micros("u.last_received_at")},
    replace(u.id::text, '-', ''), '{EventKind.OPTED_OUT}', NULL, NULL, NULL, NULL
FROM pending_mail_opt_out u
"""


def write_facts(write: Callable[[Buffer], object]) -> Snapshot:
    """Pass every fact to `write`, as CSV without a header in the order of FACT_COLUMNS.

    The facts and the metadata are of one point in time. Raises Unavailable, KeyMismatch if our
    keys are not those of the database, ReplayPending if that lacks opt-outs or erasures since it
    was restored, and CatalogueError before any catalogue.
    """
    require_known_keys()
    require_complete_database()
    now = services().now()
    with open_ledger_snapshot() as snapshot:
        connection, watermark = snapshot.connection, snapshot.watermark
        connection.execute("SET LOCAL enable_seqscan = on")
        version, text = _catalogue(connection)
        with connection.cursor() as cursor:
            with cursor.copy(f"COPY ({_SELECT_FACTS}) TO STDOUT (FORMAT csv)".encode()) as copy:
                for block in copy:
                    write(block)
            rows = cursor.rowcount
        require_complete_database(watermark.epoch)
        return Snapshot(
            format=SNAPSHOT_FORMAT,
            taken_at=snapshot.as_of(now).isoformat(),
            watermark=str(watermark),
            norm_version=NORM_VERSION,
            catalogue_version=version,
            catalogue=text,
            fingerprints=_fingerprints(connection),
            md5=_matches_md5(connection),
            facts=rows,
        )


def _catalogue(connection: Connection) -> tuple[int, str]:
    row = connection.execute(
        "SELECT id, text FROM catalogue_version ORDER BY id DESC LIMIT 1"
    ).fetchone()
    if row is None:
        raise CatalogueError(["No catalogue yet: run `flask catalogue apply FILE`."])
    return row[0], row[1]


def _fingerprints(connection: Connection) -> dict[str, str]:
    rows = connection.execute(
        "SELECT key, fingerprint FROM key_fingerprint WHERE key LIKE 'digest:%'"
    )
    return dict(rows.fetchall())


def _matches_md5(connection: Connection) -> bool:
    return connection.execute("SELECT FROM md5_matching WHERE id = 1").fetchone() is not None


SNAPSHOT_FORMAT = 1
"""Version of a snapshot's columns and metadata."""


_METADATA_KEY = "preference_center"


def create_snapshot(path: Path) -> Snapshot:
    """Write a snapshot of the database; it appears as `path` once it is complete.

    Raises Unavailable, KeyMismatch, CatalogueError before any catalogue was applied, and
    InvalidInput if `path` can't be written.
    """
    with atomic_files([path]) as made:
        rows = made.work_folder / "facts.csv"
        with rows.open("wb") as file:
            snapshot = write_facts(file.write)
        written = write_parquet(
            made.temporary_paths[path],
            f"""SELECT * FROM read_csv({glob_safe_path_literal(rows)}, header = false,
                auto_detect = false, columns = {dict(FACT_COLUMNS)})""",
            made.work_folder,
            {_METADATA_KEY: asdict(snapshot)},
        )
        if written != snapshot.facts:
            raise ScrubError("rows of the snapshot were lost: try again")
    return snapshot


def read_snapshot_metadata(path: Path) -> Snapshot:
    """The metadata of a snapshot. Raises InvalidSnapshot."""
    metadata = read_parquet_metadata(path, _METADATA_KEY)
    try:
        if metadata.get("format") == SNAPSHOT_FORMAT:
            return Snapshot(**metadata)
    except TypeError:
        pass
    raise InvalidSnapshot("not a snapshot: make one with `flask snapshot make FILE`")


def ensure_usable(snapshot: Snapshot, keys: Keys, now: datetime, max_age: timedelta) -> None:
    """Refuse a snapshot that would miss opt-outs (I11).

    Raises InvalidSnapshot if it is older than `max_age`, or was made with other rules for
    addresses, and KeyMismatch if made with other digest keys.
    """
    keys.verify_fingerprints(snapshot.fingerprints)
    if f"digest:{keys.digest_id}" not in snapshot.fingerprints:
        raise InvalidSnapshot("the digest key is newer than the snapshot: make a new one")
    if snapshot.norm_version != NORM_VERSION:
        raise InvalidSnapshot(
            "it was made by a release that parses addresses differently: make a new one"
        )
    age = now - snapshot.at
    if age > max_age:
        raise InvalidSnapshot(
            f"it was taken {_hours(age)} ago and lacks opt-outs since then: make a new"
            f" one, or allow it with --max-age"
        )


def _hours(age: timedelta) -> str:
    return f"{age / timedelta(hours=1):.1f} hours"
