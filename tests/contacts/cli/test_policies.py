"""`flask policies`, as compliance uses it."""

from __future__ import annotations

import csv
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.clock import Clock
from tests.contacts.notices.people import (
    CATALOGUE_WITH_VERSIONS,
    REACHED,
    VERSION,
    add_people,
    announce_in,
    rows,
)
from tests.in_force import put_in_force

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result
    from flask import Flask


@pytest.fixture
def app(app: Flask) -> Flask:
    announce_in(app)
    with app.app_context():
        add_people()
    return app


def flask(app: Flask, *words: str, typed: str = "") -> Result:
    return app.test_cli_runner().invoke(args=["policies", *words], input=typed)


def counts(result: Result) -> dict[str, str]:
    assert result.exit_code == 0, result.output
    return dict(line.split("\t") for line in result.stdout.splitlines())


def test_without_confirm_it_only_counts(app: Flask) -> None:
    result = flask(app, "announce", VERSION)
    assert counts(result) == {
        "reachable": "4",
        "bounced": "1",
        "phone_only": "0",
        "digest_only": "0",
    }
    assert "add --confirm" in result.stderr
    with app.app_context():
        assert rows("SELECT 1 FROM policy_notice") == []
    assert "Nothing was announced" in flask(app, "status").stderr


def test_with_confirm_it_selects_and_a_second_run_selects_nobody(app: Flask) -> None:
    assert counts(flask(app, "announce", VERSION, "--confirm"))["reachable"] == "4"
    again = counts(flask(app, "announce", VERSION, "--confirm"))
    assert (again["reachable"], again["selected before"]) == ("0", "5")


def test_the_file_has_everyone_who_can_be_reached_and_records_that(
    app: Flask, tmp_path: Path, clock: Clock
) -> None:
    flask(app, "announce", VERSION, "--confirm")
    clock.advance(timedelta(hours=1))
    path = tmp_path / "notices.csv"
    assert counts(flask(app, "export", VERSION, "-o", str(path))) == {"written": "4"}
    with path.open(newline="") as text:
        assert {row["address"] for row in csv.DictReader(text)} == REACHED
    shown = flask(app, "status", VERSION).stdout.splitlines()
    assert shown[0] == (f"{VERSION}\tbegun 2026-11-24 09:00 UTC\tcomplete 2026-11-24 09:00 UTC")
    assert shown[1:] == [
        f"{VERSION}\tbounced\tnot informed\t1",
        f"{VERSION}\treachable\tinformed by csv\t4",
    ]
    told = flask(app, "status", "--address", typed="grace@example.com\n")
    assert told.stdout == f"{VERSION}\treachable\t2026-11-24 10:00 UTC\tcsv\n"


def test_the_file_names_the_topics_that_each_person_loses(app: Flask, tmp_path: Path) -> None:
    link = 'message_type = "policy_update"\n'
    with app.app_context():
        put_in_force(app, CATALOGUE_WITH_VERSIONS.replace(link, f"{link}reconsent = true\n"))
    flask(app, "announce", VERSION, "--confirm")
    path = tmp_path / "notices.csv"
    flask(app, "export", VERSION, "-o", str(path))
    with path.open(newline="") as text:
        ends = {row["address"]: row["ends"] for row in csv.DictReader(text) if row["ends"]}
    assert ends == {"solo@example.com": "acme.news"}


def test_who_left_by_the_stream_is_not_in_the_file(app: Flask, tmp_path: Path) -> None:
    from preference_center.contacts.notices.rules import NoticeChannel
    from preference_center.contacts.notices.store import mark_noticed
    from preference_center.infra.db.transactions import run_in_transaction

    flask(app, "announce", VERSION, "--confirm")
    with app.app_context():
        [[first]] = rows("SELECT min(address_id) FROM policy_notice WHERE reach = 'reachable'")
        run_in_transaction(
            lambda c: mark_noticed(c, VERSION, [first], NoticeChannel.STREAM, Clock().now)
        )
    path = str(tmp_path / "notices.csv")
    assert counts(flask(app, "export", VERSION, "-o", path)) == {"written": "3"}
    assert counts(flask(app, "export", VERSION, "-o", path)) == {"written": "3"}  # the same file


@pytest.mark.parametrize(
    "words, problem",
    [
        (("announce",), "Missing argument 'VERSION'"),
        (("announce", "1999"), "no such version of the privacy policy"),
        (("announce", "2026-01"), "names no message_type"),
        (("announce", VERSION, "--webhook"), "--webhook needs --confirm"),
        (("export", VERSION), "Missing option '--output'"),
        (("export", VERSION, "-o", "/no/such/folder/file.csv"), "parent folder does not exist"),
        (("status", "1999"), "no such version"),
        (("status", VERSION, "--address"), "give VERSION or --address, not both"),
    ],
)
def test_wrong_arguments_are_named(app: Flask, words: tuple[str, ...], problem: str) -> None:
    result = flask(app, *words)
    assert result.exit_code == 2
    assert problem in result.stderr


def test_a_webhook_that_is_not_configured_is_a_failure(app: Flask) -> None:
    result = flask(app, "announce", VERSION, "--confirm", "--webhook")
    assert result.exit_code == 1
    assert "set RIGHTS_WEBHOOK_URL" in result.stderr


def test_an_address_that_was_informed_of_nothing_says_so(app: Flask) -> None:
    result = flask(app, "status", "--address", typed="nobody@example.com\n")
    assert "No notice to this address" in result.stderr
    assert flask(app, "status", "--address", typed="not an address\n").exit_code == 2
