"""Write both lists, in the order of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from preference_center.decisions.rules import Decision
from preference_center.infra.duckdb import Connection, fetch_row, path_literal
from preference_center.lists.scrub.decision_query import (
    REMOVED_COLUMNS,
    RULE_REASONS,
    OutputPaths,
    ScrubProgress,
)
from preference_center.lists.scrub.digest_sql import sql_literal
from preference_center.lists.scrub.duck import removed_columns, report_progress
from preference_center.lists.scrub.list_layout import ListLayout, compression_of

# DuckDB's joins keep no order, not even with one thread, so each row carries its number.
_NUMBERED_ROWS = "(SELECT *, row_number() OVER () AS n FROM list) AS l"
_REASON_COLUMNS = ", ".join(f"why.{name} AS {name}" for name in REMOVED_COLUMNS)


@dataclass(frozen=True, slots=True)
class ScrubWriter:
    """Writes the outputs; the tables `denied` and `allowed` contain the decisions."""

    connection: Connection
    layout: ListLayout
    line: str
    """The SQL for what is written of a row's `line`."""
    default_decision: Decision
    """The decision for cells in neither table."""
    progress: ScrubProgress

    def write(self, targets: OutputPaths) -> tuple[int, int]:
        """Write both; returns the number of rows of each."""
        clean, removed = self._split()
        if self.layout.is_parquet:
            taken = f"{self.line}, {_REASON_COLUMNS}"
        else:
            joint = f" || {sql_literal(self.layout.delimiter)} || "
            taken = joint.join([self.line, *(f"why.{name}" for name in REMOVED_COLUMNS)])
        return (
            self._copy("Writing", f"SELECT {self.line} {clean}", targets.clean_path),
            self._copy(
                "Writing removed",
                f"SELECT {taken} {removed}",
                targets.removed_path,
                REMOVED_COLUMNS,
            ),
        )

    def _split(self) -> tuple[str, str]:
        """The SQL for the rows that may be sent to, and for the others with their `why`."""
        if self.default_decision.allow:
            among = "EXISTS (SELECT 1 FROM denied AS d WHERE d.cell = l.cell)"
            removed = (
                f"SELECT l.line, d.why, l.n FROM {_NUMBERED_ROWS} JOIN denied AS d USING (cell)"
            )
            return (
                f"FROM {_NUMBERED_ROWS} WHERE NOT {among} ORDER BY n",
                f"FROM ({removed}) ORDER BY n",
            )
        among = "EXISTS (SELECT 1 FROM allowed AS a WHERE a.cell = l.cell)"
        reason = f"coalesce(d.why, {_removed_columns(self.default_decision)}) AS why"
        joined = f"{_NUMBERED_ROWS} LEFT JOIN denied AS d USING (cell)"
        removed = f"SELECT l.line, {reason}, l.n FROM {joined} WHERE NOT {among}"
        return f"FROM {_NUMBERED_ROWS} WHERE {among} ORDER BY n", f"FROM ({removed}) ORDER BY n"

    def _copy(self, label: str, query: str, path: Path, names: Sequence[str] = ()) -> int:
        """Write the result of `query`, below a header with `names` added; returns the rows."""
        with report_progress(self.connection, self.progress, label):
            if self.layout.is_parquet:
                form = "FORMAT parquet, COMPRESSION zstd"
                return int(
                    fetch_row(self.connection, f"COPY ({query}) TO {path_literal(path)} ({form})")[
                        0
                    ]
                )
            given: list[str] = []
            if self.layout.header_line is not None:
                query = f"SELECT $1 UNION ALL ({query})"
                given = [self.layout.delimiter.join([self.layout.header_line, *names])]
            form = (
                "FORMAT csv, HEADER false, DELIMITER '\x01', QUOTE '', ESCAPE '',"
                f" NEW_LINE '{self.layout.newline}', COMPRESSION {compression_of(path)}"
            )
            copied = fetch_row(
                self.connection, f"COPY ({query}) TO {path_literal(path)} ({form})", given
            )
            return int(copied[0]) - len(given)


def _removed_columns(decision: Decision) -> str:
    texts = (decision.rule, RULE_REASONS[decision.rule], decision.scope or "", "")
    return removed_columns([sql_literal(text) for text in texts])
