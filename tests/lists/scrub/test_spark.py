"""The same SQL on Spark; `make test-spark` gets it. Needs Java 17 or newer."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from preference_center.decisions.rules import DecisionRule
from preference_center.lists.scrub.query import ScrubEngine
from tests.in_force import put_in_force
from tests.lists.scrub import world
from tests.lists.scrub.lists import job, read, write

if TYPE_CHECKING:
    from flask import Flask

pytest.importorskip("pyspark", reason="PySpark is not installed: make test-spark")
if shutil.which("java") is None:
    pytest.skip(
        "Java is not installed: apt-get install default-jre-headless", allow_module_level=True
    )

SMALL = "--conf spark.sql.shuffle.partitions=2 --conf spark.ui.enabled=false pyspark-shell"

pytestmark = pytest.mark.filterwarnings("ignore")  # PySpark's own


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", SMALL)


def test_spark_gives_every_row_the_answer_of_the_api(app: Flask, tmp_path: Path) -> None:
    # I9, I11
    from preference_center.lists.scrub.scrub_list import scrub_list
    from preference_center.lists.scrub.snapshots import create_snapshot

    put_in_force(app, world.CLOSING)
    random = Random(3)
    addresses = world.people(range(20))
    with app.app_context():
        world.happen(random, addresses, 900)
        create_snapshot(tmp_path / "snapshot.parquet")
        cells = world.cells(random, addresses)
        write(tmp_path / "list.csv", cells)
        for message_type in ("newsletter.monthly", "offers.weekly", "invoice"):
            on_spark = replace(
                job(tmp_path, message_type), engine=ScrubEngine.SPARK, spark_master="local[2]"
            )
            receipt = scrub_list(on_spark, lambda *_: None)
            expected = world.answers(message_type, cells)

            clean, removed = parts(tmp_path / "clean.csv"), parts(tmp_path / "removed.csv")
            assert sorted(int(row[0]) for row in clean) == [
                n for n, answer in enumerate(expected) if answer.allow
            ]
            assert {row[2] for row in [*clean, *removed]} == {'Jane "J" Doe, of\nBath'}
            for row in removed:
                answer = expected[int(row[0])]
                since = f"{answer.since:%Y-%m-%dT%H:%M:%SZ}" if answer.since else ""
                assert (row[-4], row[-2]) == (answer.rule, answer.scope or "")
                assert row[-1] == since or answer.rule == DecisionRule.PAUSED
            assert (receipt.clean.rows, receipt.removed.rows) == (len(clean), len(removed))
            assert receipt.engine.startswith("spark ")


def test_no_plan_shows_the_secret(app: Flask, tmp_path: Path) -> None:
    # I12
    from preference_center.infra.context import services
    from preference_center.lists.scrub import spark
    from preference_center.lists.scrub.scrub_list import _decision_query
    from preference_center.lists.scrub.snapshots import create_snapshot, read_snapshot_metadata
    from preference_center.lists.scrub.sql import SqlDialect, with_digests

    put_in_force(app, world.CLOSING)
    with app.app_context(), spark.spark_session("local[2]") as session:
        snapshot = tmp_path / "snapshot.parquet"
        create_snapshot(snapshot)
        question = _decision_query(job(tmp_path, "offers.weekly"), read_snapshot_metadata(snapshot))
        rows = session.createDataFrame([("ada@example.com",)], "cell STRING")
        spark._create_views(session, rows, snapshot, question)
        dialect = SqlDialect(lambda text, _: f"{text} <> ''", [("inner0", "outer0")])
        plan = session.sql(with_digests(dialect, question.channel, md5=False))
        shown = plan._jdf.queryExecution().toString().lower()
        assert "inner0" in shown
        for pad in services().keys.hmac_pads()[0]:
            for form in (pad.hex(), ", ".join(map(str, pad[:8])), ",".join(map(str, pad[:8]))):
                assert form not in shown


def parts(folder: Path) -> list[list[str]]:
    return [row for part in sorted(folder.glob("part-*")) for row in read(part)]
