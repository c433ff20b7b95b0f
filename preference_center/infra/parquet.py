"""Parquet files whose metadata describe them: a JSON object under a key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb

from preference_center.infra.connection import connect, path_literal, translate_errors


def write_parquet(
    path: Path, rows: str, work_folder: Path, metadata: Mapping[str, Mapping[str, Any]]
) -> int:
    """Write the rows of a SELECT, with metadata by key; returns how many. Raises ScrubError."""
    keys = ", ".join(f"{key}: ${key}" for key in metadata)
    with translate_errors(), closing(connect(work_folder)) as connection:
        written = connection.execute(
            f"""COPY ({rows}) TO {path_literal(path)} (FORMAT parquet, COMPRESSION zstd,
                KV_METADATA {{{keys}}})""",
            {key: json.dumps(value) for key, value in metadata.items()},
        ).fetchone()
    return int(written[0]) if written else 0


def read_parquet_metadata(path: Path, key: str) -> dict[str, Any]:
    """What a file has under this key; empty if it is not there, or no such file."""
    try:
        with closing(duckdb.connect()) as connection:
            row = connection.execute(
                "SELECT decode(value) FROM parquet_kv_metadata(?) WHERE decode(key) = ?",
                [str(path), key],
            ).fetchone()
        found = json.loads(row[0]) if row else {}
    except (duckdb.Error, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
