"""One scrub: find the rows to look at, read what SQL can't, decide, write."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb

from preference_center.domain.decisions import Rule
from preference_center.errors import InvalidList
from preference_center.scrub import sql
from preference_center.scrub.decision_query import (
    REASONS,
    Counts,
    Progress,
    Question,
    Targets,
    by_rule,
)
from preference_center.scrub.duck.connection import (
    CannotScrub,
    Connection,
    as_written,
    connect,
    dialect,
    extra,
    one,
    showing,
    telling,
    to_read,
)
from preference_center.scrub.duck.list_view import open_list
from preference_center.scrub.duck.writer import Writer
from preference_center.scrub.list_layout import Layout

_CHUNK = 10_000  # cells that Python reads at a time


def scrub(
    layout: Layout, snapshot: Path, question: Question, targets: Targets, progress: Progress
) -> Counts:
    """Write the rows that may be sent to and, apart, those that may not; in their order.

    Raises InvalidList where the list can't be read, CannotScrub for want of room.
    """
    with telling(), closing(connect(targets.work)) as connection:
        line = open_list(connection, layout, targets.work, progress)
        wanted = sql.scopes(question.message, question.topic)
        source = f"read_parquet({to_read(snapshot)})"
        connection.execute(f"CREATE VIEW fact AS {sql.facts(source, question.channel, wanted)}")
        look = _Look(connection, question, progress)
        look.find()
        look.read()
        allowed, denied = look.decide()
        writer = Writer(connection, layout, line, question.unseen, progress)
        clean, removed = writer.write(targets)
        rest = removed - sum(denied.values())
        if (rest if question.unseen.allow else clean - allowed) != 0:
            raise CannotScrub("the list changed while it was read: start again")
        counts = [*denied.items(), (question.unseen.rule, rest)]
        return Counts(clean + removed, clean, by_rule(counts))


@dataclass(frozen=True, slots=True)
class _Look:
    """The steps up to the decision; each leaves tables for the next."""

    connection: Connection
    question: Question
    progress: Progress

    def find(self) -> None:
        """Put into `closer` the rows that a fact may concern, or that Python must read."""
        md5 = self.question.md5
        spoken, pads = dialect(self.question.keys.digest_pads())
        looks = sql.looks(spoken, self.question.channel, md5=md5)
        try:
            with (
                as_written(self.connection),
                showing(self.connection, self.progress, "Looking"),
            ):
                self.connection.execute(
                    f"CREATE TABLE closer AS SELECT * FROM ({looks}) AS looked"
                    f" WHERE {sql.concerned(md5=md5)}",
                    pads,
                )
        except duckdb.InvalidInputException:
            raise InvalidList(
                "it is not UTF-8 throughout, or a line is endless: save it as CSV in UTF-8"
            ) from None

    def read(self) -> None:
        """Let Python read the cells that SQL can't be sure of, into `read` and `unreadable`."""
        execute = self.connection.execute
        execute("CREATE TABLE read (cell VARCHAR, kind SMALLINT, digest VARCHAR)")
        execute("CREATE TABLE unreadable (cell VARCHAR)")
        count = one(self.connection, "SELECT count(DISTINCT cell) FROM closer WHERE NOT safe")[0]
        done = 0
        # A connection of its own: a result is gone when its connection executes the next.
        with closing(self.connection.cursor()) as cursor:
            cursor.execute("SELECT DISTINCT cell FROM closer WHERE NOT safe")
            while rows := cursor.fetchmany(_CHUNK):
                self._take([row[0] for row in rows])
                done += len(rows)
                self.progress("Reading cells", done / count)

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

    def decide(self) -> tuple[int, dict[str, int]]:
        """Put what was decided about cells into `denied` and `allowed`.

        How many rows are allowed for what was said, and how many denied by which rule.
        """
        execute, question = self.connection.execute, self.question
        with showing(self.connection, self.progress, "Deciding"):
            execute(f"CREATE TABLE probe AS {sql.probes(md5=question.md5)}")
            decided = sql.verdicts(question.message, question.topic, question.now_us)
            execute(
                f"""CREATE TABLE verdict AS SELECT cell, allow, rule, scope, since FROM ({decided})
                UNION ALL SELECT cell, false, '{Rule.UNPARSEABLE_ADDRESS}', '', NULL
                FROM unreadable"""
            )
            execute(
                f"CREATE TABLE denied AS SELECT cell, {_WHY} AS why FROM verdict WHERE NOT allow"
            )
            execute("CREATE TABLE allowed AS SELECT cell FROM verdict WHERE allow")
            found = execute(
                """SELECT allow, rule, sum(n) FROM verdict JOIN
                (SELECT cell, count(*) AS n FROM closer GROUP BY cell) AS seen USING (cell)
                GROUP BY allow, rule"""
            ).fetchall()
        allowed = sum(int(n) for allow, _, n in found if allow)
        return allowed, {rule: int(n) for allow, rule, n in found if not allow}


_REASON = " ".join(f"WHEN '{rule}' THEN '{words}'" for rule, words in REASONS.items())
_SINCE = "coalesce(strftime(make_timestamp(since), '%Y-%m-%dT%H:%M:%SZ'), '')"
_WHY = extra(["rule", f"CASE rule {_REASON} END", "scope", _SINCE])
