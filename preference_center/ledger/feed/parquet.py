"""A warehouse loads the feed from Parquet files: a snapshot first, then the changes since a file.

docs/outlets.md has the columns. A file's metadata say where the next one goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from preference_center.core.errors import InvalidInput
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.duckdb import (
    ScrubError,
    glob_safe_path_literal,
    read_parquet_metadata,
    write_parquet,
)
from preference_center.infra.files import atomic_files
from preference_center.ledger.feed import changes as feed
from preference_center.ledger.feed.changes import FeedPage, FeedScopeStatus
from preference_center.ledger.feed.cursors import LedgerSnapshot
from preference_center.ledger.feed.publish import FeedMessage, change_message, status_message
from preference_center.ledger.restore_gate import require_complete_database
from preference_center.ledger.watermarks import Watermark

FILE_FORMAT = 1
"""Version of the columns and the metadata."""
COLUMNS: Mapping[str, str] = {
    "type": "VARCHAR",
    "epoch": "VARCHAR",
    "exported_at": "TIMESTAMP WITH TIME ZONE",
    "position": "BIGINT",
    "ref": "VARCHAR",
    "channel": "VARCHAR",
    "digest": "VARCHAR",
    "address": "VARCHAR",
    "scope": "VARCHAR",
    "id": "VARCHAR",
    "kind": "VARCHAR",
    "occurred_at": "TIMESTAMP WITH TIME ZONE",
    "recorded_at": "TIMESTAMP WITH TIME ZONE",
    "counts_at": "TIMESTAMP WITH TIME ZONE",
    "until": "TIMESTAMP WITH TIME ZONE",
    "source": "VARCHAR",
    "retracts": "VARCHAR[]",
    "off": "BOOLEAN",
    "out_at": "TIMESTAMP WITH TIME ZONE",
    "out_reason": "VARCHAR",
    "lifted_at": "TIMESTAMP WITH TIME ZONE",
    "pause_at": "TIMESTAMP WITH TIME ZONE",
    "pause_until": "TIMESTAMP WITH TIME ZONE",
    "consent_at": "TIMESTAMP WITH TIME ZONE",
    "frequency": "VARCHAR",
    "frequency_at": "TIMESTAMP WITH TIME ZONE",
}
"""The columns and their SQL types."""
_METADATA_KEY = "preference_center_feed"
_PAGE_SIZE = 10_000


@dataclass(frozen=True, slots=True)
class FeedFile:
    """The metadata of a file. The next one goes on after `watermark`.

    `since` is the watermark of the file before it; None for a snapshot.
    """

    format: int
    watermark: str
    since: str | None
    exported_at: str
    addresses: str
    rows: int


def write_feed_file(path: Path, since: Watermark | None, *, readable: bool, actor: str) -> FeedFile:
    """Write a snapshot, or the changes after `since`; the file appears once it is complete.

    Raises StaleWatermark if there must be a snapshot, Unavailable, ReplayPending if the database
    lacks opt-outs or erasures since it was restored, and InvalidInput if `path` can't be written.
    """
    require_complete_database()
    now = services().now()
    with atomic_files([path]) as made:
        rows = made.work_folder / "rows.ndjson"
        writer = _RowWriter(rows, now, readable=readable)
        at = writer.write_snapshot() if since is None else writer.write_changes(since)
        require_complete_database(at.epoch)
        written = FeedFile(
            FILE_FORMAT,
            str(at),
            None if since is None else str(since),
            now.isoformat(),
            "readable" if readable else "keyed",
            writer.count,
        )
        converted = write_parquet(
            made.temporary_paths[path],
            f"""SELECT * FROM read_json({glob_safe_path_literal(rows)},
                format = 'newline_delimited', columns = {dict(COLUMNS)})""",  # noqa: S608 - a path and constants
            made.work_folder,
            {_METADATA_KEY: asdict(written)},
        )
        if converted != writer.count:
            raise ScrubError("rows of the file were lost: try again")
    detail = {"rows": str(written.rows), "addresses": written.addresses}
    run_in_transaction(
        lambda c: audit.insert_audit_entry(c, services().now(), actor, "feed.exported", detail)
    )
    return written


def read_feed_file(path: Path) -> FeedFile:
    """The metadata of a file. Raises InvalidInput."""
    metadata = read_parquet_metadata(path, _METADATA_KEY)
    try:
        if metadata.get("format") == FILE_FORMAT:
            return FeedFile(**metadata)
    except TypeError:
        pass
    raise InvalidInput("this is no file of `flask feed export`")


class _RowWriter:
    """Writes the rows as lines of JSON, which DuckDB then reads."""

    def __init__(self, path: Path, now: datetime, *, readable: bool) -> None:
        self._path = path
        self._now = now.isoformat()
        self._readable = readable
        self.count = 0

    def write_snapshot(self) -> Watermark:
        """All states; returns where to go on."""
        with closing(feed.iter_snapshot(services().keys)) as rows:
            snapshot = next(rows)
            assert isinstance(snapshot, LedgerSnapshot)
            at = snapshot.watermark
            self._write(
                status_message(row, at.epoch, readable=self._readable)
                for row in rows
                if isinstance(row, FeedScopeStatus)
            )
        return at

    def write_changes(self, since: Watermark) -> Watermark:
        """The changes after `since`; returns where to go on."""
        has_more = True
        while has_more:
            page = _load_page(since)
            epoch = page.next_watermark.epoch
            self._write(
                change_message(entry, epoch, readable=self._readable) for entry in page.entries
            )
            since, has_more = page.next_watermark, page.has_more
        return since

    def _write(self, messages: Iterator[FeedMessage]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            for message in messages:
                json.dump(self._to_row(message), file, ensure_ascii=False)
                file.write("\n")
                self.count += 1

    def _to_row(self, message: FeedMessage) -> dict[str, Any]:
        body = dict(message.body)
        # Of an event `frequency` is the one that was chosen then: its row has the state's.
        body.pop("frequency", None)
        status = body.pop("status")
        return {
            "type": message.type,
            "epoch": message.epoch,
            "exported_at": self._now,
            "position": self.count,
            **body,
            **status,
        }


def _load_page(after: Watermark) -> FeedPage:
    return run_in_transaction(lambda c: feed.list_changes(c, services().keys, after, _PAGE_SIZE))
