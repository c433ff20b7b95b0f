"""DuckDB as we use it: bounded, offline, silent about what it reads."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from preference_center.errors import PreferenceCenterError
from preference_center.scrub.decision_query import REMOVED_COLUMNS, ScrubProgress
from preference_center.scrub.sql import SqlDialect

ENGINE = f"duckdb {duckdb.__version__}"

MEMORY_LIMIT = "1200MB"
"""What DuckDB may hold; the process stays under 2 GiB with it. More goes to a folder."""

_MAX_THREADS = 8  # each has buffers of its own

# Tables stay on the side of a join where the SQL has them: estimates of a CSV's rows are wild,
# and a list on the wrong side is held in memory as a whole.
_DISABLED_OPTIMIZERS = "join_order,build_side_probe_side"

Connection = duckdb.DuckDBPyConnection


class ScrubError(PreferenceCenterError):
    """The engine gave up; nothing was written. The message holds nothing of the list."""


def connect(work: Path) -> Connection:
    """A database in memory that spills into `work`, speaks our SQL, and fetches nothing."""
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


def duckdb_dialect(pads: Sequence[tuple[bytes, bytes]]) -> tuple[SqlDialect, dict[str, bytes]]:
    """DuckDB's, and the parameters that its SQL then needs: they hold the secret."""
    given: dict[str, bytes] = {}
    names = []
    for number, (inner, outer) in enumerate(pads):
        given |= {f"inner{number}": inner, f"outer{number}": outer}
        names.append((f"$inner{number}", f"$outer{number}"))
    return SqlDialect(lambda text, pattern: f"regexp_full_match({text}, '{pattern}')", names), given


@contextmanager
def without_filter_pushdown(connection: Connection) -> Iterator[None]:
    """Leave filters where they are: pushed down, they work out the same expressions again.

    For the long look it is 20 seconds of processor time instead of 30; for joins, a disaster.
    """
    connection.execute(f"SET disabled_optimizers = '{_DISABLED_OPTIMIZERS},filter_pushdown'")
    try:
        yield
    finally:
        connection.execute(f"SET disabled_optimizers = '{_DISABLED_OPTIMIZERS}'")


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn DuckDB's errors into ours. Its messages quote rows, so none is passed on (I12)."""
    try:
        yield
    except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException):
        raise  # our own mistake, before any row was read
    except duckdb.OutOfMemoryException:
        raise ScrubError("not enough memory, or no room for temporary files") from None
    except duckdb.Error as error:
        if "No space left" in str(error):
            raise ScrubError("the disk is full") from None
        raise ScrubError(f"DuckDB gave up: {type(error).__name__}") from None
    except RuntimeError as error:
        if str(error) == "Query interrupted":  # how DuckDB says that somebody pressed Ctrl-C
            raise KeyboardInterrupt from None
        raise


@contextmanager
def report_progress(connection: Connection, progress: ScrubProgress, label: str) -> Iterator[None]:
    """Tell how far the query under way is, a few times a second."""
    progress(label, 0)
    done = threading.Event()

    def poll() -> None:
        while not done.wait(0.2):
            progress(label, max(0.0, connection.query_progress()) / 100)

    teller = threading.Thread(target=poll, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
    progress(label, 1)


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
    """The path as a literal to read from, its glob characters taken as they are."""
    return path_literal(Path(re.sub(r"([*?\[])", r"[\1]", str(path))))


def removed_columns(values: Sequence[str]) -> str:
    """The columns of a removed row behind its own, as one value."""
    return (
        "{" + ", ".join(f"'{n}': {v}" for n, v in zip(REMOVED_COLUMNS, values, strict=True)) + "}"
    )
