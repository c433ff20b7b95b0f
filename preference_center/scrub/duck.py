"""Scrubbing on one machine, with DuckDB.

The list is read three times at most: once to count it, once to find the rows that a fact may
concern, and once to write. A CSV file goes line by line and its lines are written as they
are, so the clean list is the list without some of its lines, octet for octet.
"""

from __future__ import annotations

import gzip
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from preference_center.domain.decisions import Decision, Rule
from preference_center.errors import InvalidList, PreferenceCenterError
from preference_center.scrub import expression
from preference_center.scrub.expression import Dialect, quoted
from preference_center.scrub.layouts import Compression, Layout, compression_of
from preference_center.scrub.model import (
    EXTRA,
    REASONS,
    Counts,
    Progress,
    Question,
    Targets,
    by_rule,
)
from preference_center.scrub.straightening import CR, LF, cell_pattern, straighten

ENGINE = f"duckdb {duckdb.__version__}"

MEMORY = "1200MB"
"""What DuckDB may hold; the process stays under 2 GiB with it. More goes to `Targets.work`."""

MOST_THREADS = 8  # each has buffers of its own
_CHUNK = 10_000  # cells that Python reads at a time
_LINES = (
    "delim = '\x01', quote = '', escape = '', auto_detect = false, columns = {'line': 'VARCHAR'}"
)


class CannotScrub(PreferenceCenterError):
    """The engine gave up; nothing was written. The message holds nothing of the list."""


def scrub(
    layout: Layout, snapshot: Path, question: Question, targets: Targets, progress: Progress
) -> Counts:
    """Write the rows that may be sent to and, apart, those that may not; in their order.

    Raises InvalidList where the list can't be read, CannotScrub for want of room.
    """
    with telling(), closing(connect(targets.work)) as connection:
        run = _Run(connection, layout, question, targets, progress)
        return run(snapshot)


@dataclass(frozen=True, slots=True)
class _Run:
    connection: duckdb.DuckDBPyConnection
    layout: Layout
    question: Question
    targets: Targets
    progress: Progress

    def __call__(self, snapshot: Path) -> Counts:
        rows = self._open_list()
        question = self.question
        wanted = expression.scopes(question.message, question.topic)
        source = f"read_parquet({_file(snapshot)})"
        facts = expression.facts(source, question.channel, wanted)
        self.connection.execute(f"CREATE VIEW fact AS {facts}")
        self._find()
        self._read()
        counts = self._decide(rows)
        self._write(counts)
        return counts

    def _open_list(self) -> int:
        """Make the view `list`, with `cell` and what is to be written; the number of rows."""
        if self.layout.parquet:
            name = self.layout.names[self.layout.column].replace('"', '""')
            self.connection.execute(
                f"""CREATE VIEW list AS SELECT *, coalesce(CAST("{name}" AS VARCHAR), '') AS cell
                FROM read_parquet({_file(self.layout.path)})"""
            )
            return int(self._one("SELECT count(*) FROM list")[0])
        try:
            self._open_lines(self.layout.path, self.layout.compression)
            rows, torn = self._survey()
        except (duckdb.InvalidInputException, duckdb.ConversionException):
            rows, torn = 0, 1
        if torn:
            self._open_lines(self._straightened(), Compression.NONE)
            rows, _ = self._survey()
        return rows

    def _open_lines(self, path: Path, compression: Compression) -> None:
        layout = self.layout
        form = f"{_LINES}, skip = {layout.skip}, compression = '{compression}'"
        self.connection.execute(
            f"""CREATE OR REPLACE VIEW list AS SELECT line, {_cell(layout)} AS cell
            FROM read_csv({_file(path)}, {form}) WHERE line IS NOT NULL"""
        )

    def _survey(self) -> tuple[int, int]:
        """The number of lines, and of those that can't be whole rows."""
        quotes = "length(line) - length(replace(line, '\"', ''))"
        torn = f"contains(line, '\"') AND ({quotes}) % 2 = 1"
        with self._showing("Counting"):
            found = self._one(f"SELECT count(*), count(*) FILTER ({torn}) FROM list")
        return int(found[0]), int(found[1])

    def _straightened(self) -> Path:
        """A copy with one record per line. Raises InvalidList."""
        layout = self.layout
        if layout.compression is Compression.ZSTD:
            raise InvalidList(
                "some cells hold line breaks, or line ends differ: unpack the list first (zstd -d)"
            )
        opened = gzip.open if layout.compression is Compression.GZIP else open
        path = self.targets.work / "straight.csv"
        self.progress("Straightening", 0)
        with opened(layout.path, "rb") as source, path.open("wb") as target:
            straighten(source, target, layout.delimiter, len(layout.names))  # type: ignore[arg-type]
        return path

    def _find(self) -> None:
        """Keep in `closer` the rows that a fact may concern or that Python must read."""
        md5 = self.question.md5
        keep = "line" if self._keeps_lines else ""
        pads = _pads(self.question)
        dialect = Dialect(
            lambda text, pattern: f"regexp_full_match({text}, '{pattern}')",
            [(f"${inner}", f"${outer}") for inner, outer in zip(*[iter(pads)] * 2, strict=True)],
        )
        with self._showing("Looking"):
            looks = expression.looks(dialect, self.question.channel, md5=md5, columns=keep)
            self.connection.execute(
                f"CREATE TABLE closer AS SELECT * FROM ({looks}) AS looked"
                f" WHERE {expression.concerned(md5=md5)}",
                pads,
            )

    def _read(self) -> None:
        """Let Python read the cells that SQL can't be sure of."""
        execute = self.connection.execute
        execute("CREATE TABLE read (cell VARCHAR, kind SMALLINT, digest VARCHAR)")
        execute("CREATE TABLE unreadable (cell VARCHAR)")
        count = int(self._one("SELECT count(DISTINCT cell) FROM closer WHERE NOT safe")[0])
        done = 0
        # A connection of its own: a result is gone when its connection executes the next.
        with closing(self.connection.cursor()) as cursor:
            cursor.execute("SELECT DISTINCT cell FROM closer WHERE NOT safe")
            while rows := cursor.fetchmany(_CHUNK):
                self._take([row[0] for row in rows])
                done += len(rows)
                self.progress("Reading", done / count)

    def _take(self, cells: Sequence[str]) -> None:
        unreadable: list[str] = []
        found: list[tuple[str, int, str]] = []
        for cell in cells:
            address = self.question.read(cell)
            if address is None:
                unreadable.append(cell)
            else:
                found += ((cell, *digest) for digest in self.question.digests(address))
        execute = self.connection.execute
        execute("INSERT INTO unreadable SELECT unnest($1)", [unreadable])
        columns = [list(column) for column in zip(*found, strict=True)] or [[], [], []]
        execute("INSERT INTO read SELECT unnest($1), unnest($2), unnest($3)", columns)

    def _decide(self, rows: int) -> Counts:
        """Put what was decided into `verdict`, and what was denied into `denied`."""
        execute, question = self.connection.execute, self.question
        with self._showing("Deciding"):
            execute(f"CREATE TABLE probe AS {expression.probes(md5=question.md5)}")
            decided = expression.verdicts(question.message, question.topic, question.now_us)
            execute(
                f"""CREATE TABLE verdict AS SELECT cell, allow, rule, scope, since FROM ({decided})
                UNION ALL SELECT cell, false, '{Rule.UNPARSEABLE_ADDRESS}', '', NULL
                FROM unreadable"""
            )
            execute(
                f"""CREATE TABLE denied AS SELECT cell, {_WHY} AS why
                FROM verdict WHERE NOT allow"""
            )
            execute("CREATE TABLE allowed AS SELECT cell FROM verdict WHERE allow")
            found = execute(
                """SELECT allow, rule, sum(n) FROM verdict JOIN
                (SELECT cell, count(*) AS n FROM closer GROUP BY cell) AS seen USING (cell)
                GROUP BY allow, rule"""
            ).fetchall()
        removed = [(rule, int(n)) for allow, rule, n in found if not allow]
        if question.unseen.allow:
            clean = rows - sum(n for _, n in removed)
        else:
            clean = sum(int(n) for allow, _, n in found if allow)
            rest = rows - clean - sum(n for _, n in removed)
            removed.append((question.unseen.rule, rest))
        return Counts(rows, clean, by_rule(removed))

    def _write(self, counts: Counts) -> None:
        """Raises CannotScrub if the list has changed since it was counted."""
        if self.question.unseen.allow:
            clean = (
                "FROM list AS l WHERE NOT EXISTS (SELECT 1 FROM denied AS d WHERE d.cell = l.cell)"
            )
            source = "closer" if self._keeps_lines else "list"
            removed = f"SELECT l.*, d.why FROM {source} AS l JOIN denied AS d ON d.cell = l.cell"
        else:
            among = "EXISTS (SELECT 1 FROM allowed AS a WHERE a.cell = l.cell)"
            clean = f"FROM list AS l WHERE {among}"
            # Looked up like this, since a LEFT JOIN changes the order of rows.
            why = "(SELECT d.why FROM denied AS d WHERE d.cell = l.cell)"
            unseen = f"coalesce({why}, {_why_of(self.question.unseen)}) AS why"
            removed = f"SELECT l.*, {unseen} FROM list AS l WHERE NOT {among}"
        layout = self.layout
        extra = [f"why.{name} AS {name}" for name in EXTRA]
        if layout.parquet:
            kept = "* EXCLUDE (cell)"
            more = f"* EXCLUDE (cell, why), {', '.join(extra)}"
        else:
            kept = _as_it_was("line")
            tail = f" || '{layout.delimiter}' || ".join(f"why.{name}" for name in EXTRA)
            more = f"{_as_it_was('line')} || '{layout.delimiter}' || {tail}"
        parts = (
            ("Writing", self.targets.clean, f"SELECT {kept} {clean}", (), counts.clean),
            (
                "Writing what was removed",
                self.targets.removed,
                f"SELECT {more} FROM ({removed})",
                EXTRA,
                sum(counts.removed.values()),
            ),
        )
        for label, path, query, names, expected in parts:
            with self._showing(label):
                written = self._copy(query, path, names)
            if written != expected:
                raise CannotScrub("the list changed while it was read: start again")

    def _copy(self, query: str, path: Path, names: Sequence[str]) -> int:
        """Write what `query` finds; the number of rows."""
        target = quoted_path(path)
        if self.layout.parquet:
            form = "FORMAT parquet, COMPRESSION zstd"
            return int(self._one(f"COPY ({query}) TO {target} ({form})")[0])
        header = self.layout.header
        given: list[str] = []
        if header is not None:
            query = f"SELECT $1 UNION ALL {query}"
            given = [self.layout.delimiter.join([header, *names])]
        form = (
            "FORMAT csv, HEADER false, DELIMITER '\x01', QUOTE '', ESCAPE '',"
            f" NEW_LINE '{self.layout.newline}', COMPRESSION {compression_of(path)}"
        )
        return int(self._one(f"COPY ({query}) TO {target} ({form})", given)[0]) - len(given)

    @property
    def _keeps_lines(self) -> bool:
        """Whether the rows looked at are all that may be removed: saves reading once more."""
        return self.question.unseen.allow and not self.layout.parquet

    def _one(self, query: str, given: Sequence[object] = ()) -> tuple[Any, ...]:
        row: tuple[Any, ...] | None = self.connection.execute(query, list(given)).fetchone()
        assert row
        return row

    @contextmanager
    def _showing(self, label: str) -> Iterator[None]:
        """Tell how far the query under way is, a few times a second."""
        self.progress(label, 0)
        done = threading.Event()

        def tell() -> None:
            while not done.wait(0.2):
                self.progress(label, max(0.0, self.connection.query_progress()) / 100)

        teller = threading.Thread(target=tell, daemon=True)
        teller.start()
        try:
            yield
        finally:
            done.set()
            teller.join()
        self.progress(label, 1)


# A row's reason as text, under the names of its columns.
_SINCE = "coalesce(strftime(make_timestamp(since), '%Y-%m-%dT%H:%M:%SZ'), '')"


def _reason(rule: str) -> str:
    cases = " ".join(f"WHEN '{rule}' THEN '{words}'" for rule, words in REASONS.items())
    return f"CASE {rule} {cases} END"


def _struct(values: Sequence[str]) -> str:
    return "{" + ", ".join(f"'{n}': {v}" for n, v in zip(EXTRA, values, strict=True)) + "}"


_WHY = _struct(["rule", _reason("rule"), "scope", _SINCE])


def _why_of(decision: Decision) -> str:
    texts = (decision.rule, REASONS[decision.rule], decision.scope or "", "")
    return _struct([quoted(text) for text in texts])


def _cell(layout: Layout) -> str:
    """The address's cell out of `line`; empty where the line is no row that can be read."""
    d, before = layout.delimiter, layout.column
    cell = cell_pattern(d)
    row = f"^(?:{cell}[{d}]){{{before}}}({cell})(?:[{d}]|$)"
    found = f"trim(regexp_extract(line, '{row}', 1), ' ')"
    bare = f"replace({found}[2:-2], '\"\"', '\"')"
    return f"""CASE WHEN NOT contains(line, '"') THEN split_part(line, '{d}', {before + 1})
        WHEN starts_with({found}, '"') THEN {bare} ELSE {found} END"""


def _as_it_was(line: str) -> str:
    """With the line breaks that straightening took out."""
    return f"replace(replace({line}, '{LF}', chr(10)), '{CR}', chr(13))"


def _pads(question: Question) -> dict[str, bytes]:
    """The HMAC's inner and outer pad of each digest key, by parameter, in their order."""
    return {
        f"{name}{number}": value
        for number, pads in enumerate(question.keys.digest_pads())
        for name, value in zip(("inner", "outer"), pads, strict=True)
    }


def _file(path: Path) -> str:
    """The path as a literal to read from, its glob characters taken as they are."""
    return quoted_path(Path(re.sub(r"([*?\[])", r"[\1]", str(path))))


def quoted_path(path: Path) -> str:
    """The path as a literal."""
    escaped = str(path).replace("'", "''")
    return f"'{escaped}'"


def connect(work: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory that spills into `work`, speaks the dialect, and fetches nothing."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    connection = duckdb.connect(
        config={
            "memory_limit": MEMORY,
            "threads": min(cores or 1, MOST_THREADS),
            "temp_directory": str(work),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    # Tables stay on the side of a join where the SQL has them: estimates of a CSV's rows are
    # wild, and a list on the wrong side is held in memory as a whole.
    connection.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")
    connection.execute("SET enable_progress_bar = false")
    connection.execute("CREATE MACRO sha2(value, bits) AS sha256(value)")
    return connection


@contextmanager
def telling() -> Iterator[None]:
    """Turn DuckDB's errors into ours. Its messages quote rows, so none is passed on (I12)."""
    try:
        yield
    except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException):
        raise  # our own mistake, before any row was read
    except duckdb.OutOfMemoryException:
        raise CannotScrub("not enough memory, or no room for temporary files") from None
    except duckdb.Error as error:
        if "No space left" in str(error):
            raise CannotScrub("the disk is full") from None
        raise CannotScrub(f"DuckDB gave up: {type(error).__name__}") from None
