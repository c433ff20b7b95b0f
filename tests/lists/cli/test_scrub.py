from __future__ import annotations

import csv
import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import Change, EventKind
from preference_center.infra.context import services
from preference_center.ledger import record
from tests.clock import START
from tests.in_force import put_in_force
from tests.lists.imports.test_messy import ADA, ADA_AND_BOB

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask

    from preference_center.infra.config import Settings

OFFERS = "offers.weekly"
LIST = b"name,email\nAda,ada@example.com\nBob,bob@example.com\nCy,nobody\n"


@pytest.fixture
def in_force(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """Ada opted out of offers; the folder with her on a list is the current one."""
    put_in_force(app)
    monkeypatch.chdir(tmp_path)
    with app.app_context():
        ada = parse_address("ada@example.com", Channel.EMAIL)
        new = services().new_id()
        record([Change(new, EventKind.OPTED_OUT, ada, "acme.offers", START, START, "test", "test")])
    return app


def flask(app: Flask, *words: object) -> Result:
    return app.test_cli_runner().invoke(args=[*map(str, words)])


def scrub(app: Flask, name: str, content: bytes, *words: object) -> Result:
    Path(name).write_bytes(content)
    outputs = ["-o", name.replace("list", "clean"), "--removed", name.replace("list", "removed")]
    return flask(app, "scrub", name, "--message-type", OFFERS, *outputs, *words)


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_a_list_is_split_and_the_receipt_tells_how(in_force: Flask, tmp_path: Path) -> None:
    result = scrub(in_force, "list.csv", LIST, "--receipt", "receipt.json")

    assert result.exit_code == 0, result.output
    assert "3 rows: 1 may be sent to, 2 not." in result.output
    clean = b"name,email\nBob,bob@example.com\n"
    assert Path("clean.csv").read_bytes() == clean
    assert Path("removed.csv").read_text().splitlines() == [
        "name,email,removed_rule,removed_reason,removed_scope,removed_since",
        (
            "Ada,ada@example.com,opted_out_of_topic,opted out of this topic,acme.offers,"
            "2026-11-24T09:00:00Z"
        ),
        "Cy,nobody,unparseable_address,not a valid address,,",
    ]
    receipt = json.loads(Path("receipt.json").read_text())
    assert receipt["removed_by_rule"] == {"opted_out_of_topic": 1, "unparseable_address": 1}
    assert receipt["clean"] == {
        "name": "clean.csv", "rows": 1, "sha256": hashlib.sha256(clean).hexdigest(),
    }  # fmt: skip
    assert receipt["list"]["sha256"] == hashlib.sha256(LIST).hexdigest()
    assert hidden(tmp_path) == []


@pytest.mark.parametrize(
    "content, clean",
    [
        pytest.param(
            b"\xef\xbb\xbfe-mail;name\r\nada@example.com;A\r\nbob@example.com;B\r\n",
            b"\xef\xbb\xbfe-mail;name\r\nbob@example.com;B\r\n",
            id="byte-order-mark-semicolon-crlf",
        ),
        pytest.param(
            b"Email\tName\nADA@example.com\tx\n bob@example.com \ty\n\n",
            b"Email\tName\n bob@example.com \ty\n",
            id="tabs-case-spaces-blank-lines",
        ),
        pytest.param(
            b'"name","email"\n"Ada, \n ""the"" first","ada@example.com"\n'
            b'"Bob,\nB","bob@example.com"\n',
            b'"name","email"\n"Bob,\nB","bob@example.com"\n',
            id="line-breaks-and-quotes-in-cells",
        ),
        pytest.param(
            b'name,email\n5" pipe,ada@example.com\n6" pipe,bob@example.com\n"torn,x@example.com\n',
            b'name,email\n6" pipe,bob@example.com\n',
            id="a-quote-that-is-none-and-one-left-open",
        ),
        pytest.param(
            b"email,name\nada@example.com,A\r\nbob@example.com,B\n",
            b"email,name\nbob@example.com,B\n",
            id="mixed-line-ends",
        ),
        pytest.param(
            b"email\nada@example.com\nbob@example.com", b"email\nbob@example.com\n", id="one"
        ),
        pytest.param(
            "email,città\nbob@example.com,Forlì\n".encode(),
            "email,città\nbob@example.com,Forlì\n".encode(),
            id="beyond-ascii",
        ),
    ],
)
def test_rows_stay_byte_for_byte(in_force: Flask, content: bytes, clean: bytes) -> None:
    result = scrub(in_force, "list.csv", content)

    assert result.exit_code == 0, result.output
    assert Path("clean.csv").read_bytes() == clean


@pytest.mark.parametrize("message_type", [OFFERS, "newsletter.monthly"])
def test_rows_keep_their_order_in_lists_that_are_read_in_parts(
    in_force: Flask, message_type: str
) -> None:
    row = "%d,%s@example.com,{}\n".format("x" * 250)
    names = ("ada", "bob", "cy", "dan")
    lines = [row % (n, names[n % 4] + str(n) * (n % 4 > 0)) for n in range(150_000)]
    content = "n,email,padding\n" + "".join(lines)
    result = scrub(in_force, "list.csv", content.encode(), "--message-type", message_type)

    assert result.exit_code == 0, result.output
    found = [
        [int(line.partition(",")[0]) for line in Path(name).read_text().splitlines()[1:]]
        for name in ("clean.csv", "removed.csv")
    ]
    assert all(numbers == sorted(numbers) for numbers in found)
    assert sorted(found[0] + found[1]) == [*range(len(lines))]


def test_a_packed_list_stays_packed(in_force: Flask) -> None:
    assert scrub(in_force, "list.csv.gz", gzip.compress(LIST)).exit_code == 0
    assert (
        gzip.decompress(Path("clean.csv.gz").read_bytes()) == b"name,email\nBob,bob@example.com\n"
    )


def test_zstandard_and_parquet_too(in_force: Flask) -> None:
    import duckdb

    rows = "SELECT unnest(['ada@example.com', 'bob@example.com']) AS email, 7 AS cell"
    for name in ("list.csv.zst", "list.parquet"):
        with duckdb.connect() as connection:
            connection.execute(f"COPY ({rows}) TO '{name}'")
            result = scrub(in_force, name, Path(name).read_bytes())
            assert result.exit_code == 0, result.output
            clean = name.replace("list", "clean")
            found = connection.execute(f"SELECT * FROM '{clean}'").fetchall()
            assert found == [("bob@example.com", 7)]
            expected = connection.execute(
                f"SELECT removed_rule FROM '{name.replace('list', 'removed')}'"
            ).fetchall()
            assert expected == [("opted_out_of_topic",)]


def test_without_a_header_the_address_is_found(in_force: Flask) -> None:
    result = scrub(in_force, "list.csv", b"1,ada@example.com\n2,bob@example.com\n", "--no-header")

    assert result.exit_code == 0, result.output
    assert Path("clean.csv").read_bytes() == b"2,bob@example.com\n"


@pytest.mark.parametrize(
    "content, words, expected",
    [
        pytest.param(b"ada@example.com\nbob@example.com\n", [], "--no-header", id="no_header"),
        pytest.param(
            b"email,e-mail\na@b.co,c@d.co\n", [], "'email', 'e-mail'", id="two_address_columns"
        ),
        pytest.param(b"a,b\n1,2\n", [], "'a', 'b'", id="no_address_column"),
        pytest.param(b"a,b\n1,2\n", ["--column", "c"], "no such column", id="unknown_column"),
        pytest.param(b"", [], "empty", id="empty"),
        pytest.param(b"\n\n", [], "empty", id="only_blank_lines"),
        pytest.param(b"email\nb\xfcb@example.com\n", [], "UTF-8", id="latin_1"),
        pytest.param(
            b'email,x\nb\xfcb@example.com,"a\nb"\n',
            [],
            "line 2 is not UTF-8",
            id="latin_1_in_second_record",
        ),
        pytest.param(gzip.compress(LIST), [], "ends with .csv.gz", id="gzip"),
        pytest.param(b"PAR1\x15\x04", [], "ends with .parquet", id="parquet"),
        pytest.param(b"PK\x03\x04\x14", [], "save it as CSV", id="zip"),
        pytest.param(
            LIST,
            ["--message-type", "newsletter.monthy"],
            "newsletter.monthly",
            id="unknown_message_type",
        ),
        pytest.param(LIST, ["--channel", "sms"], "omit --channel", id="channel_and_message_type"),
        pytest.param(LIST, ["--delimiter", "ab"], "one character", id="long_delimiter"),
        pytest.param(LIST, ["-o", "list.csv"], "different files", id="output_is_the_input"),
        pytest.param(LIST, ["-o", "clean.parquet"], "of one kind", id="output_of_another_kind"),
        pytest.param(
            LIST, ["-o", "nowhere/clean.csv"], "does not exist", id="output_folder_missing"
        ),
        pytest.param(
            LIST, ["--snapshot", "list.csv"], "flask snapshot make", id="snapshot_is_no_snapshot"
        ),
    ],
)
def test_what_is_wrong_is_reported_and_nothing_is_written(
    in_force: Flask, tmp_path: Path, content: bytes, words: list[str], expected: str
) -> None:
    result = scrub(in_force, "list.csv", content, *words)

    assert result.exit_code in {1, 2}
    assert expected in result.output
    assert isinstance(result.exception, SystemExit)
    assert [path.name for path in tmp_path.iterdir()] == ["list.csv"]
    assert Path("list.csv").read_bytes() == content


def test_a_snapshot_tells_what_it_is_and_shows_no_address(in_force: Flask, tmp_path: Path) -> None:
    # I12
    assert flask(in_force, "snapshot", "make", "snapshot.parquet").exit_code == 0
    expected = flask(in_force, "snapshot", "inspect", "snapshot.parquet").output

    assert "taken at\t2026-11-24T09:00:00+00:00 (0.0 hours ago)" in expected
    assert "facts\t1" in expected
    assert OFFERS in expected
    content = Path("snapshot.parquet").read_bytes()
    assert b"example.com" not in content
    assert hashlib.sha256(b"ada@example.com").hexdigest().encode() not in content
    assert hidden(tmp_path) == []


def test_an_old_snapshot_is_refused_until_allowed(in_force: Flask, clock: object) -> None:
    # I11
    from datetime import timedelta

    flask(in_force, "snapshot", "make", "snapshot.parquet")
    clock.advance(timedelta(hours=25))  # type: ignore[attr-defined]
    words = ["--snapshot", "snapshot.parquet"]

    assert "25.0 hours ago" in scrub(in_force, "list.csv", LIST, *words).output
    assert scrub(in_force, "list.csv", LIST, *words, "--max-age", 26).exit_code == 0


def test_a_killed_scrub_leaves_nothing_under_a_final_name(
    in_force: Flask, settings: Settings, tmp_path: Path
) -> None:
    flask(in_force, "snapshot", "make", "snapshot.parquet")
    process = begin(settings, signal.SIGKILL)

    assert process.returncode == -signal.SIGKILL
    left = {path.name for path in tmp_path.iterdir()}
    assert left & {"clean.csv", "removed.csv", "receipt.json"} == set()
    assert all(name.endswith(".part") for name in hidden(tmp_path))


def test_an_interrupted_scrub_cleans_up(
    in_force: Flask, settings: Settings, tmp_path: Path
) -> None:
    flask(in_force, "snapshot", "make", "snapshot.parquet")
    process = begin(settings, signal.SIGINT)

    assert process.returncode == 1
    assert {path.name for path in tmp_path.iterdir()} == {"list.csv", "snapshot.parquet"}


def begin(settings: Settings, number: signal.Signals) -> subprocess.Popen[bytes]:
    """A scrub that was sent this signal while it wrote."""
    with Path("list.csv").open("wb") as file:
        file.write(b"email\n")
        file.writelines(b"somebody%d@example.com\n" % n for n in range(20_000))
    values = settings.model_dump(exclude_none=True)
    environ = {name.upper(): str(value) for name, value in values.items()}
    root = Path(__file__).resolve().parents[3]
    program = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler);{HOOK}"
    process = subprocess.Popen(
        [
            sys.executable, "-c", program, "scrub", "list.csv", "--message-type", OFFERS,
            "--snapshot", "snapshot.parquet", "--max-age", "1000000",
            "-o", "clean.csv", "--removed", "removed.csv", "--receipt", "receipt.json",
        ],
        env=os.environ | environ | {"PYTHONPATH": str(root), "SIGNAL": str(int(number))},
        stderr=subprocess.PIPE,
    )  # fmt: skip
    process.communicate(timeout=60)
    return process


# Sends itself the signal once the clean list is being written: no waiting for the right moment.
HOOK = """
import os
from preference_center.app.web import create_app
from preference_center.lists.scrub.duck import ScrubWriter
copy = ScrubWriter._copy
def half(self, label, query, path, names=()):
    done = copy(self, label, query, path, names)
    assert path.exists()
    os.kill(os.getpid(), int(os.environ["SIGNAL"]))
    return done
ScrubWriter._copy = half
create_app().cli.main()
"""


@pytest.mark.parametrize("cell", ["'ada@example.com", "\u2019ada@example.com", "'ada@example.com'"])
def test_an_apostrophe_before_an_address_does_not_hide_its_opt_out(
    in_force: Flask, cell: str
) -> None:  # I9
    content = f"email\n{cell}\n'new@example.com\n".encode()
    assert scrub(in_force, "list.csv", content).exit_code == 0
    assert Path("clean.csv").read_text() == "email\n'new@example.com\n"
    assert "opted_out_of_topic" in Path("removed.csv").read_text()


def test_an_apostrophe_before_an_address_brings_it_no_consent(
    in_force: Flask,
) -> None:  # I5, I11
    eve = parse_address("eve@example.com", Channel.EMAIL)
    said = [(EventKind.OPTED_OUT, START - timedelta(days=1)), (EventKind.OPTED_IN, START)]
    with in_force.app_context():
        for kind, at in said:
            new = services().new_id()
            record([Change(new, kind, eve, "acme.offers", at, at, "test", "test")])
    assert scrub(in_force, "list.csv", b"email\n'eve@example.com\neve@example.com\n").exit_code == 0
    assert Path("clean.csv").read_text() == "email\neve@example.com\n"
    assert "opted_out_of_topic" in Path("removed.csv").read_text()


@pytest.mark.parametrize("cell", [*ADA, *ADA_AND_BOB])
def test_no_way_to_write_an_address_brings_it_past_its_opt_out(
    in_force: Flask, cell: str
) -> None:  # I9, I11
    with Path("list.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["n", "email"], ["1", cell], ["2", "eve@example.com"]])
    content = Path("list.csv").read_bytes()
    assert scrub(in_force, "list.csv", content).exit_code == 0
    assert Path("clean.csv").read_text().split() == ["n,email", "2,eve@example.com"]
