"""One scrub: find candidate rows, parse what SQL can't, decide, write."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb

from preference_center.core.errors import InvalidList
from preference_center.decisions.rules import DecisionRule
from preference_center.infra.duckdb import (
    Connection,
    ScrubError,
    connect,
    fetch_row,
    glob_safe_path_literal,
    translate_errors,
    without_filter_pushdown,
)
from preference_center.lists.scrub import decision_sql, digest_sql
from preference_center.lists.scrub.decision_query import (
    RULE_REASONS,
    DecisionQuery,
    OutputPaths,
    ScrubCounts,
    ScrubProgress,
    count_by_rule,
)
from preference_center.lists.scrub.duck import duckdb_dialect, removed_columns, report_progress
from preference_center.lists.scrub.list_layout import ListLayout
from preference_center.lists.scrub.list_view import create_list_view
from preference_center.lists.scrub.writer import ScrubWriter

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
        wanted = decision_sql.deciding_scopes(question.message, question.topic)
        source = f"read_parquet({glob_safe_path_literal(snapshot)})"
        connection.execute(
            f"CREATE VIEW fact AS {decision_sql.deciding_facts(source, question.channel, wanted)}"
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
        concerned = digest_sql.candidates_condition(md5=md5, keys=self.query.keys.digest_length)
        digested = digest_sql.with_digests(spoken, self.query.channel, md5=md5)
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
        unreadable: list[str] = []
        found: list[tuple[str, int, str]] = []
        for cell in cells:
            address = self.query.parse_address(cell)
            if address is None:
                unreadable.append(cell)
            else:
                found += ((cell, *digest) for digest in self.query.digests(address))
        execute = self.connection.execute
        execute("INSERT INTO unreadable SELECT unnest($1)", [unreadable])
        columns = [list(column) for column in zip(*found, strict=True)] or [[], [], []]
        execute("INSERT INTO read SELECT unnest($1), unnest($2), unnest($3)", columns)

    def decide(self) -> tuple[int, dict[str, int]]:
        """Fill `denied` and `allowed` with the decisions about cells.

        Returns how many rows some fact allows, and how many are denied by which rule.
        """
        execute, question = self.connection.execute, self.query
        probes = digest_sql.probes(md5=question.match_md5, keys=question.keys.digest_length)
        with report_progress(self.connection, self.progress, "Deciding"):
            execute(f"CREATE TABLE probe AS {probes}")
            decided = decision_sql.decisions(question.message, question.topic, question.now_us)
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
