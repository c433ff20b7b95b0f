"""Scrub on one machine, with DuckDB.

The list is read three times: to find the rows that a fact may concern, and to write the clean and
the removed rows. A CSV file is processed by lines, which are written unchanged, so the clean list
is the list without some of its lines, byte for byte and in their order.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from preference_center.infra.duckdb import ENGINE, Connection, ScrubError
from preference_center.lists.scrub.decision_query import REMOVED_COLUMNS, ScrubProgress
from preference_center.lists.scrub.digest_sql import SqlDialect
from preference_center.lists.scrub.run import scrub_with_duckdb

__all__ = ["ENGINE", "ScrubError", "scrub_with_duckdb"]


def duckdb_dialect(pads: Sequence[tuple[bytes, bytes]]) -> tuple[SqlDialect, dict[str, bytes]]:
    """DuckDB's dialect, and the parameters that its SQL needs: they contain the secret."""
    given: dict[str, bytes] = {}
    names = []
    for number, (inner, outer) in enumerate(pads):
        given |= {f"inner{number}": inner, f"outer{number}": outer}
        names.append((f"$inner{number}", f"$outer{number}"))
    return SqlDialect(lambda text, pattern: f"regexp_full_match({text}, '{pattern}')", names), given


@contextmanager
def report_progress(connection: Connection, progress: ScrubProgress, label: str) -> Iterator[None]:
    """Report the progress of the current query, a few times a second."""
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


def removed_columns(values: Sequence[str]) -> str:
    """The columns that are added to a removed row, as one value."""
    return (
        "{" + ", ".join(f"'{n}': {v}" for n, v in zip(REMOVED_COLUMNS, values, strict=True)) + "}"
    )
