"""Files for a warehouse: a snapshot, then what changed since; dbt's models end at our state."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import jinja2
import pytest

from dev.maintenance.real_tools import HOME
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import EventKind
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record, watermarks
from preference_center.ledger.feed.parquet import COLUMNS, read_feed_file
from tests.clock import START, Clock
from tests.core.histories import NEWS, OFFERS
from tests.ledger.changes import change, retraction
from tests.ledger.feed.reader import Reader

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask

PEOPLE = [parse_address(f"p{number}@example.org", Channel.EMAIL) for number in range(4)]
PROJECT = Path(__file__).parents[3] / "deploy/dbt"
MODELS = ("feed_rows", "scope_status", "opt_outs_by_day")


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        watermarks.ensure_epoch()
        yield


def export(app: Flask, output: Path, *words: str) -> Result:
    Reader().catch_up()  # a file ends at open transactions, also of other tests on this server
    return app.test_cli_runner().invoke(args=["feed", "export", "-o", str(output), *words])


def read(query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        return connection.execute(query).fetchall()


def modelled(files: Path, query: str) -> list[tuple[Any, ...]]:
    """What a query of the models answers, made by DuckDB without dbt."""
    environment = jinja2.Environment(autoescape=False)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for model in MODELS:
            template = environment.from_string((PROJECT / f"models/{model}.sql").read_text())
            sql = template.render(ref=lambda name: name, var=lambda _: f"{files}/*.parquet")
            connection.execute(f"CREATE VIEW {model} AS {sql}")
        return connection.execute(query).fetchall()


def test_a_snapshot_has_every_state_and_says_where_to_go_on(app: Flask, tmp_path: Path) -> None:
    record([change(1, address=PEOPLE[1]), change(2, EventKind.COMPLAINED, address=PEOPLE[2])])
    path = tmp_path / "1.parquet"
    result = export(app, path)
    assert result.exit_code == 0, result.output
    assert ": 2 rows, as of " in result.output
    described = read(f"DESCRIBE SELECT * FROM '{path}'")
    assert {row[0]: row[1] for row in described} == dict(COLUMNS)
    columns = 'type, scope, "off", out_reason, address'
    rows = read(f"SELECT {columns} FROM '{path}' ORDER BY length(ref), ref")
    assert rows[0] == ("status", NEWS, True, "opted_out", None)
    found = read_feed_file(path)
    assert (found.rows, found.since, found.addresses) == (2, None, "keyed")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_address_is_readable_unless_that_is_asked_for(app: Flask, tmp_path: Path) -> None:  # I12
    record([change(1, address=PEOPLE[1])])
    keyed, readable = tmp_path / "keyed.parquet", tmp_path / "readable.parquet"
    export(app, keyed)
    export(app, readable, "--addresses", "readable")
    assert b"example.org" not in keyed.read_bytes()
    assert read(f"SELECT address FROM '{readable}'") == [("p1@example.org",)]
    digest = services().keys.exact_digest(PEOPLE[1]).hex()
    assert read(f"SELECT digest FROM '{keyed}'") == [(digest,)]
    audited = run_in_transaction(
        lambda c: c.execute("SELECT detail->>'addresses' FROM audit ORDER BY id").fetchall()
    )
    assert audited == [("keyed",), ("readable",)]


def test_the_next_file_has_only_what_came_after_the_last(app: Flask, tmp_path: Path) -> None:
    record([change(1, address=PEOPLE[1])])
    files = [tmp_path / f"{number}.parquet" for number in range(4)]
    export(app, files[0])
    record([change(2, scope=OFFERS, address=PEOPLE[1])])
    record([retraction(3, 1)])
    assert export(app, files[1], "--since", str(files[0])).exit_code == 0
    assert read(f"SELECT kind, scope, retracts FROM '{files[1]}' ORDER BY position") == [
        ("opted_out", OFFERS, None),
        ("retracted", NEWS, ["00000000-0000-0000-0000-000000000001"]),
    ]
    assert export(app, files[2], "--since", str(files[1])).exit_code == 0
    assert read(f"SELECT count(*) FROM '{files[2]}'") == [(0,)]
    record([change(4, address=PEOPLE[2])])
    assert export(app, files[3], "--since", read_feed_file(files[2]).watermark).exit_code == 0
    assert read(f"SELECT kind FROM '{files[3]}'") == [("opted_out",)]


def test_after_a_restore_only_a_snapshot_can_be_written(app: Flask, tmp_path: Path) -> None:
    first, second = tmp_path / "1.parquet", tmp_path / "2.parquet"
    export(app, first)
    run_in_transaction(lambda c: watermarks.begin_epoch(c, START + timedelta(hours=1)))
    result = export(app, second, "--since", str(first))
    assert result.exit_code == 3
    assert "omit --since" in result.output
    assert not second.exists()


@pytest.mark.parametrize("content", ["ref\n7\n", ""])
def test_a_file_that_is_none_of_ours_is_refused(app: Flask, tmp_path: Path, content: str) -> None:
    other = tmp_path / "other.csv"
    other.write_text(content)
    assert export(app, tmp_path / "x.parquet", "--since", str(other)).exit_code == 2
    assert export(app, tmp_path / "x.parquet", "--since", "yesterday").exit_code == 2


def history(app: Flask, clock: Clock, folder: Path) -> None:
    """A snapshot and three files of changes, with somebody erased and an act taken back."""
    record([change(1, address=PEOPLE[1]), change(2, EventKind.CONSENTED, address=PEOPLE[2])])
    previous: Path | None = None
    for number in range(4):
        path = folder / f"{number}.parquet"
        since = () if previous is None else ("--since", str(previous))
        assert export(app, path, "--addresses", "readable", *since).exit_code == 0
        previous = path
        clock.advance(timedelta(minutes=1))
        n = 10 * (number + 1)
        record([change(n, scope=OFFERS, address=PEOPLE[number], at=clock())])
        record([retraction(n + 1, n)] if number == 1 else [change(n + 1, EventKind.OPTED_IN,
                address=PEOPLE[1], at=clock())])  # fmt: skip


def test_the_models_end_at_our_state(app: Flask, clock: Clock, tmp_path: Path) -> None:
    files, whole = tmp_path / "files", tmp_path / "whole"
    files.mkdir()
    whole.mkdir()
    history(app, clock, files)
    clock.advance(timedelta(minutes=1))
    assert export(app, files / "4.parquet", "--since", str(files / "3.parquet"),
                  "--addresses", "readable").exit_code == 0  # fmt: skip
    export(app, whole / "0.parquet", "--addresses", "readable")
    query = "SELECT * FROM scope_status ORDER BY ref, scope"
    assert modelled(files, query) == modelled(whole, query)
    assert len(modelled(files, query)) >= 4
    days = modelled(files, "SELECT sum(opt_outs) FROM opt_outs_by_day")
    assert days == [(4,)]


def test_the_query_of_the_page_ends_at_our_state(app: Flask, clock: Clock, tmp_path: Path) -> None:
    history(app, clock, tmp_path)
    page = (PROJECT.parents[1] / "docs/outlets.md").read_text()
    found = re.search(r"^### DuckDB$.*?^```sql\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert found
    query = found[1].replace("feed/*.parquet", f"{tmp_path}/*.parquet")
    columns = "ref, scope, digest, out_at, out_reason"
    states = modelled(tmp_path, f"SELECT {columns} FROM scope_status WHERE is_off ORDER BY 1, 2")
    assert read(query) == states
    assert len(states) >= 2


def test_the_models_forget_who_was_erased_and_keep_the_opt_out(tmp_path: Path) -> None:  # I6
    row = (
        "SELECT 'status' AS type, 'e' AS epoch, timestamptz '2026-11-24 09:00Z' AS exported_at,"
        " 1::BIGINT AS position, '7' AS ref, 'email' AS channel, 'd' AS digest, 'p@example.org' AS"
        " address, 'news' AS scope, NULL AS id, NULL AS kind, NULL::timestamptz AS counts_at,"
        ' NULL::timestamptz AS occurred_at, NULL AS source, true AS "off", timestamptz'
        " '2026-11-01' AS out_at, 'opted_out' AS out_reason, NULL::timestamptz AS lifted_at,"
        " NULL::timestamptz AS pause_at, NULL::timestamptz AS pause_until, timestamptz"
        " '2026-10-01' AS consent_at, 'weekly' AS frequency, timestamptz '2026-10-01' AS"
        " frequency_at"
    )
    erased = (
        "SELECT * REPLACE ('change' AS type, 2::BIGINT AS position, NULL AS address, 'everything'"
        " AS scope, 'erased' AS kind, timestamptz '2026-11-20' AS counts_at, NULL::timestamptz AS"
        f" consent_at, NULL AS frequency, NULL::timestamptz AS frequency_at) FROM ({row})"
    )
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({row} UNION ALL {erased}) TO '{tmp_path}/0.parquet'")
    found = modelled(
        tmp_path,
        "SELECT scope, address, is_off, consent_at, frequency FROM scope_status ORDER BY 1",
    )
    assert found == [("everything", None, True, None, None), ("news", None, True, None, None)]


@pytest.mark.skipif("TEST_REAL" not in os.environ, reason="make test-real")
def test_dbt_itself_builds_the_project(app: Flask, clock: Clock, tmp_path: Path) -> None:
    history(app, clock, tmp_path)
    warehouse = tmp_path / "warehouse.duckdb"
    result = subprocess.run(
        [HOME / "dbt" / "bin" / "dbt", "build", "--project-dir", PROJECT, "--profiles-dir", PROJECT,
         "--target-path", tmp_path / "target", "--log-path", tmp_path / "logs",
         "--vars", f"{{feed_files: '{tmp_path}/*.parquet'}}"],
        env={**os.environ, "WAREHOUSE": str(warehouse)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    assert "PASS=6" in result.stdout
