"""This engine scrubs a list on one machine, with DuckDB.

The list is read three times: to find the rows that a fact may concern, and to write the clean and
the removed rows. A CSV file is processed by lines, which are written unchanged, so the clean list
is the list without some of its lines, byte for byte and in their order. What SQL can't parse,
Python parses.
"""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from preference_center.core.errors import InvalidList
from preference_center.decisions.rules import RULE_REASONS, Decision, DecisionRule
from preference_center.infra.duckdb import (
    Connection,
    ScrubError,
    connect,
    fetch_row,
    glob_safe_path_literal,
    path_literal,
    translate_errors,
    without_filter_pushdown,
)
from preference_center.lists.scrub import sql
from preference_center.lists.scrub.layout import (
    ESCAPED_CR,
    ESCAPED_LF,
    Compression,
    ListLayout,
    cell_pattern,
    compression_of,
    write_one_record_per_line,
)
from preference_center.lists.scrub.query import (
    REMOVED_COLUMNS,
    DecisionQuery,
    OutputPaths,
    ScrubCounts,
    ScrubProgress,
    count_by_rule,
)
from preference_center.lists.scrub.sql import SqlDialect, sql_literal


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


_BLOCK = 4 * 1024 * 1024


_LINE_OPTIONS = (
    "delim = '\x01', quote = '', escape = '', auto_detect = false, columns = {'line': 'VARCHAR'}"
)


def create_list_view(
    connection: Connection, layout: ListLayout, work: Path, progress: ScrubProgress
) -> str:
    """Create the view `list` of `cell` and `line`; returns the SQL to write a line.

    `line` is a CSV file's line or a Parquet file's row. Raises InvalidList where it can't be
    read.
    """
    if layout.is_parquet:
        name = layout.column_names[layout.address_column].replace('"', '""')
        connection.execute(
            f"""CREATE VIEW list AS
            SELECT line, coalesce(CAST(line."{name}" AS VARCHAR), '') AS cell
            FROM read_parquet({glob_safe_path_literal(layout.path)}) AS line"""
        )
        return "line.*"
    _create_csv_view(connection, layout, layout.path, layout.compression)
    if _has_one_record_per_line(connection, layout, progress):
        return "line"
    progress("Normalizing lines", 0)
    _create_csv_view(connection, layout, _write_one_record_per_line(layout, work), Compression.NONE)
    return f"replace(replace(line, '{ESCAPED_LF}', chr(10)), '{ESCAPED_CR}', chr(13))"


def _create_csv_view(
    connection: Connection, layout: ListLayout, path: Path, compression: Compression
) -> None:
    form = f"{_LINE_OPTIONS}, skip = {layout.skipped_lines}, compression = '{compression}'"
    connection.execute(
        f"""CREATE OR REPLACE VIEW list AS SELECT line, {_address_cell_sql(layout)} AS cell
        FROM read_csv({glob_safe_path_literal(path)}, {form}) WHERE line IS NOT NULL"""
    )


def _has_one_record_per_line(
    connection: Connection, layout: ListLayout, progress: ScrubProgress
) -> bool:
    """Whether lines are rows: no line ends inside quotes, and all line ends are the same."""
    if layout.compression is Compression.NONE and _has_no_quotes(layout):
        return True
    quotes = "length(line) - length(replace(line, '\"', ''))"
    torn = f"contains(line, '\"') AND ({quotes}) % 2 = 1"
    try:
        with report_progress(connection, progress, "Reading"):
            return not fetch_row(connection, f"SELECT count(*) FROM list WHERE {torn}")[0]
    except (duckdb.InvalidInputException, duckdb.ConversionException):
        return False  # line ends differ; or it is not UTF-8, which normalizing reports


def _has_no_quotes(layout: ListLayout) -> bool:
    """Whether a file contains nothing that could make a line other than one row."""
    with layout.path.open("rb") as file:
        while block := file.read(_BLOCK):
            if b'"' in block or b"\r" in block or b"\x01" in block:
                return False
    return True


def _write_one_record_per_line(layout: ListLayout, work: Path) -> Path:
    """A copy with one record per line. Raises InvalidList."""
    if layout.compression is Compression.ZSTD:
        raise InvalidList(
            "it has line breaks in cells or mixed line ends: unpack it first (zstd -d)"
        )
    path = work / "straight.csv"
    with (
        gzip.open(layout.path) if layout.compression is Compression.GZIP else layout.path.open("rb")
    ) as source, path.open("wb") as target:  # fmt: skip
        write_one_record_per_line(source, target, layout.delimiter, len(layout.column_names))  # type: ignore[arg-type]
    return path


def _address_cell_sql(layout: ListLayout) -> str:
    """The address's cell in `line`; empty where the line is not a valid row."""
    d, before = layout.delimiter, layout.address_column
    cell = cell_pattern(d)
    row = f"^(?:{cell}[{d}]){{{before}}}({cell})(?:[{d}]|$)"
    found = f"trim(regexp_extract(line, '{row}', 1), ' ')"
    bare = f"replace({found}[2:-2], '\"\"', '\"')"
    return f"""CASE WHEN NOT contains(line, '"') THEN split_part(line, '{d}', {before + 1})
        WHEN starts_with({found}, '"') THEN {bare} ELSE {found} END"""


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


_CHUNK_SIZE = 10_000  # cells that Python reads at a time


def scrub_with_duckdb(
    layout: ListLayout,
    snapshot: Path,
    question: DecisionQuery,
    targets: OutputPaths,
    progress: ScrubProgress,
) -> ScrubCounts:
    """Write the rows that may be sent to, and separately those that may not, in their order.

    Raises InvalidList where the list can't be read, ScrubError without enough memory or disk.
    """
    with translate_errors(), closing(connect(targets.work_folder)) as connection:
        line = create_list_view(connection, layout, targets.work_folder, progress)
        wanted = sql.deciding_scopes(question.message, question.topic)
        source = f"read_parquet({glob_safe_path_literal(snapshot)})"
        connection.execute(
            f"CREATE VIEW fact AS {sql.deciding_facts(source, question.channel, wanted)}"
        )
        look = _Evaluation(connection, question, progress)
        look.find_candidates()
        look.parse_candidates()
        allowed, denied = look.decide()
        writer = ScrubWriter(connection, layout, line, question.default_decision, progress)
        clean, removed = writer.write(targets)
        rest = removed - sum(denied.values())
        if (rest if question.default_decision.allow else clean - allowed) != 0:
            raise ScrubError("the list changed while it was read: start again")
        counts = [*denied.items(), (question.default_decision.rule, rest)]
        return ScrubCounts(clean + removed, clean, count_by_rule(counts))


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """The steps up to the decision; each creates tables for the next."""

    connection: Connection
    query: DecisionQuery
    progress: ScrubProgress

    def find_candidates(self) -> None:
        """Fill `candidate` with the rows that a fact may concern, or that Python must parse."""
        md5 = self.query.match_md5
        spoken, pads = duckdb_dialect(self.query.keys.hmac_pads())
        concerned = sql.candidates_condition(md5=md5, keys=self.query.keys.digest_length)
        digested = sql.with_digests(spoken, self.query.channel, md5=md5)
        try:
            with (
                without_filter_pushdown(self.connection),
                report_progress(self.connection, self.progress, "Finding candidates"),
            ):
                self.connection.execute(
                    f"CREATE TABLE candidate AS SELECT * FROM ({digested}) AS digested"
                    f" WHERE {concerned}",
                    pads,
                )
        except duckdb.InvalidInputException:
            raise InvalidList(
                "it is not UTF-8 throughout, or a line is endless: save it as CSV in UTF-8"
            ) from None

    def parse_candidates(self) -> None:
        """Parse the cells that SQL can't, into `read` and `unreadable`."""
        execute = self.connection.execute
        execute("CREATE TABLE read (cell VARCHAR, kind SMALLINT, digest VARCHAR)")
        execute("CREATE TABLE unreadable (cell VARCHAR)")
        count = fetch_row(
            self.connection, "SELECT count(DISTINCT cell) FROM candidate WHERE NOT safe"
        )[0]
        done = 0
        # A cursor of its own: a result is lost when its connection executes the next query.
        with closing(self.connection.cursor()) as cursor:
            cursor.execute("SELECT DISTINCT cell FROM candidate WHERE NOT safe")
            while rows := cursor.fetchmany(_CHUNK_SIZE):
                self._parse_cells([row[0] for row in rows])
                done += len(rows)
                self.progress("Parsing cells", done / count)

    def _parse_cells(self, cells: Sequence[str]) -> None:
        found, unreadable = self.query.parse_cells(cells)
        execute = self.connection.execute
        execute("INSERT INTO unreadable SELECT unnest($1)", [unreadable])
        columns = [list(column) for column in zip(*found, strict=True)] or [[], [], []]
        execute("INSERT INTO read SELECT unnest($1), unnest($2), unnest($3)", columns)

    def decide(self) -> tuple[int, dict[str, int]]:
        """Fill `denied` and `allowed` with the decisions about cells.

        Returns how many rows some fact allows, and how many are denied by which rule.
        """
        execute, question = self.connection.execute, self.query
        probes = sql.probes(md5=question.match_md5, keys=question.keys.digest_length)
        with report_progress(self.connection, self.progress, "Deciding"):
            execute(f"CREATE TABLE probe AS {probes}")
            decided = sql.decisions(question.message, question.topic, question.now_us)
            execute(
                f"""CREATE TABLE decision AS SELECT cell, allow, rule, scope, since FROM ({decided})
                UNION ALL SELECT cell, false, '{DecisionRule.UNPARSEABLE_ADDRESS}', '', NULL
                FROM unreadable"""
            )
            execute(
                f"CREATE TABLE denied AS SELECT cell, {_DENIAL_COLUMNS} AS why FROM decision "
                "WHERE NOT allow"
            )
            execute("CREATE TABLE allowed AS SELECT cell FROM decision WHERE allow")
            found = execute(
                """SELECT allow, rule, sum(n) FROM decision JOIN
                (SELECT cell, count(*) AS n FROM candidate GROUP BY cell) AS cell_count USING (cell)
                GROUP BY allow, rule"""
            ).fetchall()
        allowed = sum(int(n) for allow, _, n in found if allow)
        return allowed, {rule: int(n) for allow, rule, n in found if not allow}


_REASON_CASES = " ".join(f"WHEN '{rule}' THEN '{words}'" for rule, words in RULE_REASONS.items())


_SINCE_SQL = "coalesce(strftime(make_timestamp(since), '%Y-%m-%dT%H:%M:%SZ'), '')"


_DENIAL_COLUMNS = removed_columns(["rule", f"CASE rule {_REASON_CASES} END", "scope", _SINCE_SQL])
