"""The DuckDB connection is bounded and offline, and no error message of it holds a row.

The Parquet files that it writes have metadata that describe them: a JSON object under a key.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb

from preference_center.core.errors import PreferenceCenterError

ENGINE = f"duckdb {duckdb.__version__}"


MEMORY_LIMIT = "1200MB"
"""DuckDB's memory; the process then stays under 2 GiB. It spills the rest to disk."""


_MAX_THREADS = 8  # each has buffers of its own


# Keep the sides of joins as the SQL has them: estimates of a CSV's rows are unreliable, and a
# list on the wrong side is held in memory completely.
_DISABLED_OPTIMIZERS = "join_order,build_side_probe_side"


Connection = duckdb.DuckDBPyConnection


class ScrubError(PreferenceCenterError):
    """The engine failed; nothing was written. The message contains nothing of the list."""


def connect(work: Path) -> Connection:
    """An in-memory database that spills into `work` and downloads nothing."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    connection = duckdb.connect(
        config={
            "memory_limit": MEMORY_LIMIT,
            "threads": min(cores or 1, _MAX_THREADS),
            "temp_directory": str(work),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    connection.execute(f"SET disabled_optimizers = '{_DISABLED_OPTIMIZERS}'")
    connection.execute("SET enable_progress_bar = false")
    connection.execute("CREATE MACRO sha2(value, bits) AS sha256(value)")
    return connection


@contextmanager
def without_filter_pushdown(connection: Connection) -> Iterator[None]:
    """Disable filter pushdown, which computes the same expressions again.

    The scan then needs 20 seconds of processor time instead of 30; joins would suffer.
    """
    connection.execute(f"SET disabled_optimizers = '{_DISABLED_OPTIMIZERS},filter_pushdown'")
    try:
        yield
    finally:
        connection.execute(f"SET disabled_optimizers = '{_DISABLED_OPTIMIZERS}'")


@contextmanager
def translate_errors() -> Iterator[None]:
    """Translate DuckDB's errors. Its messages quote rows, so none is passed on (I12)."""
    try:
        yield
    except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException):
        raise  # a bug of ours, before any row was read
    except duckdb.OutOfMemoryException:
        raise ScrubError("not enough memory, or not enough disk for temporary files") from None
    except duckdb.Error as error:
        if "No space left" in str(error):
            raise ScrubError("the disk is full") from None
        raise ScrubError(f"DuckDB failed: {type(error).__name__}") from None
    except RuntimeError as error:
        if str(error) == "Query interrupted":  # DuckDB's message after Ctrl-C
            raise KeyboardInterrupt from None
        raise


def fetch_row(
    connection: Connection, query: str, parameters: Sequence[object] = ()
) -> tuple[Any, ...]:
    """The only row of a result."""
    row: tuple[Any, ...] | None = connection.execute(query, list(parameters)).fetchone()
    assert row
    return row


def path_literal(path: Path) -> str:
    """The path as a literal to write to."""
    escaped = str(path).replace("'", "''")
    return f"'{escaped}'"


def glob_safe_path_literal(path: Path) -> str:
    """The path as a literal to read from, glob characters escaped."""
    return path_literal(Path(re.sub(r"([*?\[])", r"[\1]", str(path))))


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
