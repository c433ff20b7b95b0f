"""Writing both lists, in the order of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from preference_center.domain.decisions import Decision
from preference_center.scrub.decision_query import EXTRA, REASONS, Progress, Targets
from preference_center.scrub.duck.connection import Connection, extra, one, showing, to_write
from preference_center.scrub.list_layout import Layout, compression_of
from preference_center.scrub.sql import quoted

# DuckDB's joins keep no order, with one thread neither, so each row carries its number.
_ROWS = "(SELECT *, row_number() OVER () AS n FROM list) AS l"
_TOLD = ", ".join(f"why.{name} AS {name}" for name in EXTRA)


@dataclass(frozen=True, slots=True)
class Writer:
    """What is needed to write; the tables `denied` and `allowed` tell what was decided."""

    connection: Connection
    layout: Layout
    line: str
    """What of a row's `line` is written, in SQL."""
    unseen: Decision
    """What holds for the cells in neither."""
    progress: Progress

    def write(self, targets: Targets) -> tuple[int, int]:
        """Write both; how many rows each has."""
        clean, removed = self._split()
        if self.layout.parquet:
            taken = f"{self.line}, {_TOLD}"
        else:
            joint = f" || {quoted(self.layout.delimiter)} || "
            taken = joint.join([self.line, *(f"why.{name}" for name in EXTRA)])
        return (
            self._copy("Writing", f"SELECT {self.line} {clean}", targets.clean),
            self._copy("Writing removed", f"SELECT {taken} {removed}", targets.removed, EXTRA),
        )

    def _split(self) -> tuple[str, str]:
        """Where the rows are that may be sent to, and those that may not, each with its why."""
        if self.unseen.allow:
            among = "EXISTS (SELECT 1 FROM denied AS d WHERE d.cell = l.cell)"
            removed = f"SELECT l.line, d.why, l.n FROM {_ROWS} JOIN denied AS d USING (cell)"
            return f"FROM {_ROWS} WHERE NOT {among} ORDER BY n", f"FROM ({removed}) ORDER BY n"
        among = "EXISTS (SELECT 1 FROM allowed AS a WHERE a.cell = l.cell)"
        told = f"coalesce(d.why, {_why(self.unseen)}) AS why"
        joined = f"{_ROWS} LEFT JOIN denied AS d USING (cell)"
        removed = f"SELECT l.line, {told}, l.n FROM {joined} WHERE NOT {among}"
        return f"FROM {_ROWS} WHERE {among} ORDER BY n", f"FROM ({removed}) ORDER BY n"

    def _copy(self, label: str, query: str, path: Path, names: Sequence[str] = ()) -> int:
        """Write what `query` finds, below a header with `names` added; the number of rows."""
        with showing(self.connection, self.progress, label):
            if self.layout.parquet:
                form = "FORMAT parquet, COMPRESSION zstd"
                return int(one(self.connection, f"COPY ({query}) TO {to_write(path)} ({form})")[0])
            given: list[str] = []
            if self.layout.header is not None:
                query = f"SELECT $1 UNION ALL ({query})"
                given = [self.layout.delimiter.join([self.layout.header, *names])]
            form = (
                "FORMAT csv, HEADER false, DELIMITER '\x01', QUOTE '', ESCAPE '',"
                f" NEW_LINE '{self.layout.newline}', COMPRESSION {compression_of(path)}"
            )
            copied = one(self.connection, f"COPY ({query}) TO {to_write(path)} ({form})", given)
            return int(copied[0]) - len(given)


def _why(decision: Decision) -> str:
    texts = (decision.rule, REASONS[decision.rule], decision.scope or "", "")
    return extra([quoted(text) for text in texts])
