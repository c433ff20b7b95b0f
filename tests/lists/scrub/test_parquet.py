"""Parquet files with metadata, and files that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from preference_center.core.errors import InvalidInput, InvalidSnapshot
from preference_center.infra.duckdb import read_parquet_metadata, write_parquet
from preference_center.ledger.feed.parquet import read_feed_file
from preference_center.lists.scrub.snapshots import read_snapshot_metadata


def test_metadata_are_read_as_they_were_written(tmp_path: Path) -> None:
    path, metadata = tmp_path / "rows.parquet", {"format": 1, "text": "it's $5"}
    assert write_parquet(path, "SELECT * FROM range(3)", tmp_path, {"about": metadata}) == 3
    assert read_parquet_metadata(path, "about") == metadata
    assert read_parquet_metadata(path, "other") == {}


@pytest.mark.parametrize("content", [None, b"", b"email\nada@example.com\n"])
def test_another_file_has_none(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "list.csv"
    if content is not None:
        path.write_bytes(content)
    assert read_parquet_metadata(path, "about") == {}


@pytest.mark.parametrize("metadata", [{}, {"format": 1}, {"format": 2}, {"format": 1, "odd": 1}])
def test_a_file_of_another_program_is_no_snapshot_and_none_of_the_feed(
    tmp_path: Path, metadata: dict[str, int]
) -> None:
    path = tmp_path / "rows.parquet"
    keys = ("preference_center", "preference_center_feed")
    write_parquet(path, "SELECT 1", tmp_path, dict.fromkeys(keys, metadata))
    with pytest.raises(InvalidSnapshot):
        read_snapshot_metadata(path)
    with pytest.raises(InvalidInput):
        read_feed_file(path)
