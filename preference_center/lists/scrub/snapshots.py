"""Snapshots: a Parquet file with every fact that decides, and no address.

Its rows have the columns `FACT_COLUMNS`; its metadata contain watermark, catalogue, and
fingerprints of the digest keys. Digests are keyed, so nobody can look up addresses in a stolen
snapshot without the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from preference_center.catalogue import Catalogue, parse_catalogue
from preference_center.core.addresses import NORM_VERSION
from preference_center.core.errors import InvalidSnapshot
from preference_center.core.keys import Keys
from preference_center.infra.duckdb import (
    ScrubError,
    glob_safe_path_literal,
    read_parquet_metadata,
    write_parquet,
)
from preference_center.infra.files import atomic_files
from preference_center.lists.scrub.fact_snapshot import FACT_COLUMNS, write_snapshot

SNAPSHOT_FORMAT = 1
"""Version of a snapshot's columns and metadata."""

_METADATA_KEY = "preference_center"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The metadata of a snapshot."""

    format: int
    taken_at: str
    watermark: str
    norm_version: int
    catalogue_version: int
    catalogue: str
    fingerprints: Mapping[str, str]
    md5: bool
    facts: int

    @property
    def at(self) -> datetime:
        """When it was taken."""
        return datetime.fromisoformat(self.taken_at)

    def read_catalogue(self) -> Catalogue:
        """The catalogue that was in force. Raises CatalogueError."""
        return parse_catalogue(self.catalogue)


def create_snapshot(path: Path) -> Snapshot:
    """Write a snapshot of the database; it appears as `path` once it is complete.

    Raises Unavailable, KeyMismatch, CatalogueError before any catalogue was applied, and
    InvalidInput if `path` can't be written.
    """
    with atomic_files([path]) as made:
        rows = made.work_folder / "facts.csv"
        with rows.open("wb") as file:
            taken = write_snapshot(file.write)
        snapshot = Snapshot(
            format=SNAPSHOT_FORMAT,
            taken_at=taken.taken_at.isoformat(),
            watermark=str(taken.watermark),
            norm_version=NORM_VERSION,
            catalogue_version=taken.catalogue_version,
            catalogue=taken.catalogue_text,
            fingerprints=taken.fingerprints,
            md5=taken.matches_md5,
            facts=taken.row_count,
        )
        written = write_parquet(
            made.temporary_paths[path],
            f"""SELECT * FROM read_csv({glob_safe_path_literal(rows)}, header = false,
                auto_detect = false, columns = {dict(FACT_COLUMNS)})""",
            made.work_folder,
            {_METADATA_KEY: asdict(snapshot)},
        )
        if written != taken.row_count:
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
