"""`flask rights`, as support uses it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from preference_center.storage.db.database import run_in_transaction
from tests.clock import Clock
from tests.in_force import put_in_force

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask

DAY = timedelta(days=1)
LIST = """address,kind,extent,received_at
Ada@example.com,object,,
bob@example.com,erase,marketing,2026-11-20T09:00+01:00
"""


def flask(app: Flask, *words: str, typed: str = "Ada@example.com") -> Result:
    return app.test_cli_runner().invoke(args=["rights", *words], input=f"{typed}\n")


def rows(app: Flask, query: str) -> list[tuple[Any, ...]]:
    with app.app_context():
        return run_in_transaction(lambda c: c.execute(query.encode()).fetchall())


def add(app: Flask, *words: str) -> str:
    """Add a request; returns its reference."""
    result = flask(app, "add", *words)
    assert result.exit_code == 0, result.output
    return result.stdout.split()[0]


@pytest.fixture
def app(app: Flask) -> Flask:
    put_in_force(app)
    return app


def test_a_request_is_added_and_shown_and_no_address_is_printed(app: Flask) -> None:  # I12
    reference = add(app, "access", "--via", "phone", "--asked", "--language", "en")
    shown = flask(app, "show", reference.lower().replace("-", " "))
    for text in (reference, "identifying", "a***@e***.com", "identity_asked", "2026-12-24 09:00"):
        assert text in shown.stdout
    assert "ada@" not in shown.output.lower()


def test_sale_and_sharing_are_off_at_once(app: Flask) -> None:  # 11 CCR 7026(d)
    reference = add(app, "dont_sell_or_share", "--via", "phone", "--language", "en")
    assert "done" in flask(app, "show", reference).stdout
    assert rows(app, "SELECT kind, scope FROM event") == [("opted_out", "sharing")]


def test_what_the_person_wrote_is_shown_only_if_asked_for(app: Flask, tmp_path: Path) -> None:
    written = tmp_path / "letter.txt"
    written.write_text("I am Ada Lovelace", encoding="utf-8")
    reference = add(app, "complaint", "--via", "postal_mail", "--text-file", str(written))
    assert "Lovelace" not in flask(app, "show", reference).stdout
    assert "text_read" not in flask(app, "show", reference).stdout
    assert "Lovelace" in flask(app, "show", reference, "--show-text").stdout
    assert "text_read" in flask(app, "show", reference).stdout


def test_no_terminal_runs_what_a_stranger_wrote(app: Flask, tmp_path: Path) -> None:
    written = tmp_path / "letter.txt"
    written.write_text("one\x1b]0;title\x07\ntwo \u202e", encoding="utf-8")
    reference = add(app, "complaint", "--via", "postal_mail", "--text-file", str(written))
    assert flask(app, "show", reference, "--show-text").stdout.endswith("\none]0;title\ntwo \n")


def test_identity_is_proven_by_facts_and_the_request_is_fulfilled(app: Flask) -> None:
    reference = add(app, "erase", "--extent", "account", "--via", "phone", "--asked")
    early = flask(app, "complete", reference)
    assert early.exit_code == 1
    assert "confirm who the person is" in early.stderr
    facts = ("--fact", "last_order", "--fact", "subscriptions")
    known = flask(app, "identify", reference, "confirmed", "--proof", "recent_dealings", *facts)
    assert " open " in known.stdout
    assert " done " in flask(app, "complete", reference).stdout
    assert rows(app, "SELECT count(*) FROM address WHERE erased_at IS NOT NULL") == [(1,)]


@pytest.mark.parametrize("words", [("confirmed",), ("failed", "--proof", "portal")])
def test_a_proof_belongs_to_a_confirmation(app: Flask, words: tuple[str, ...]) -> None:
    result = flask(app, "identify", add(app, "access", "--via", "phone"), *words)
    assert result.exit_code == 2
    assert "--proof" in result.stderr


def test_a_request_is_extended_refused_withdrawn_and_confirmed(app: Flask) -> None:
    first = add(app, "correct", "--via", "email", "--proof", "portal")
    second = add(app, "access", "--via", "email")
    assert "2027-02-24" in flask(app, "extend", first, "--reason", "complex").stdout
    assert " refused " in flask(app, "refuse", first, "--ground", "excessive").stdout
    assert flask(app, "confirm", second).exit_code == 0
    assert " withdrawn " in flask(app, "withdraw", second).stdout
    assert flask(app, "identify", first, "asked").exit_code == 1


def test_open_requests_are_listed_by_their_deadline(app: Flask) -> None:
    stopped = add(app, "access", "--via", "phone", "--asked")
    month = add(app, "correct", "--via", "phone")
    days = add(app, "close", "--via", "phone", "--law", "lgpd")
    closed = add(app, "complaint", "--via", "phone")
    flask(app, "withdraw", closed)
    listed = [line.split()[0] for line in flask(app, "list").stdout.splitlines()]
    assert listed == [days, month, stopped]
    assert closed in flask(app, "list", "--state", "withdrawn").stdout


def test_overdue_fails_only_if_something_is_late(app: Flask, clock: Clock) -> None:
    reference = add(app, "correct", "--via", "phone")
    for days, stage, code in ((1, "", 0), (7, "past_target", 0), (24, "due_soon", 0),
                              (30, "overdue", 1)):  # fmt: skip
        clock.now = clock.now.replace(day=24, month=11, year=2026) + days * DAY
        result = flask(app, "overdue")
        assert result.exit_code == code
        assert result.stdout.split()[:2] == ([stage, reference] if stage else [])


@pytest.mark.parametrize("reference", ["06H0-SJ4E-G1WH-34VF", "nonsense"])
def test_an_unknown_reference_is_reported(app: Flask, reference: str) -> None:
    result = flask(app, "show", reference)
    assert result.exit_code in {1, 2}
    assert "Traceback" not in result.output


def test_an_address_that_cannot_be_read_is_not_repeated(app: Flask) -> None:  # I12
    result = flask(app, "add", "access", "--via", "phone", typed="ada@example.com, bob@x.org")
    assert result.exit_code == 2
    assert "bob@" not in result.stderr.replace("Address: ada@example.com, bob@x.org", "")


class TestAList:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "list.csv"
        path.write_text(LIST, encoding="utf-8-sig")
        return path

    def read(self, app: Flask, file: Path, *more: str) -> Result:
        words = ("import", str(file), "--language", "en", *more)
        return flask(app, *words, typed="Data Rights Ltd\npost@agents.example")

    def test_is_only_counted_without_apply(self, app: Flask, file: Path) -> None:
        result = self.read(app, file)
        assert result.stdout.splitlines() == ["erase\t1", "object\t1"]
        assert rows(app, "SELECT count(*) FROM rights_request") == [(0,)]

    def test_becomes_one_request_for_each_row_and_objections_count(
        self, app: Flask, file: Path
    ) -> None:
        assert self.read(app, file, "--apply").exit_code == 0
        assert rows(app, "SELECT kind, via, state FROM rights_request ORDER BY kind") == [
            ("erase", "agent", "identifying"),
            ("object", "agent", "done"),
        ]
        assert rows(app, "SELECT kind, scope FROM event") == [("opted_out", "all_marketing")]

    def test_read_again_within_a_day_adds_only_what_is_new(self, app: Flask, file: Path) -> None:
        self.read(app, file, "--apply")
        self.read(app, file, "--apply")
        assert rows(app, "SELECT count(*) FROM rights_request WHERE kind = 'erase'") == [(1,)]

    @pytest.mark.parametrize(
        "row",
        [
            "ada@example.com,forget,,",
            "ada@example.com,erase,,",
            ",access,,",
            "nobody,access,,",
            "ada@example.com,access,,2026-11-20",
            "ada@example.com,access,,,more",
        ],
    )
    def test_reports_rows_that_cannot_be_used_by_line_and_names_nobody(
        self, app: Flask, tmp_path: Path, row: str
    ) -> None:
        path = tmp_path / "list.csv"
        path.write_text(f"address,kind,extent,received_at\nbob@example.com,access,,\n{row}\n")
        result = self.read(app, path, "--apply")
        assert result.exit_code == 1
        assert "line 3: " in result.stderr
        assert "ada@" not in result.output
        assert rows(app, "SELECT count(*) FROM rights_request") == [(1,)]

    @pytest.mark.parametrize(
        "text", ["", "name,kind\n", "address\n", "kind,address,kind\n", 'address,kind\n"a,access\n']
    )
    def test_that_is_none_is_refused_as_a_whole(
        self, app: Flask, tmp_path: Path, text: str
    ) -> None:
        path = tmp_path / "list.csv"
        path.write_text(text)
        result = self.read(app, path, "--apply")
        assert result.exit_code == 1
        assert "Traceback" not in result.output
        assert rows(app, "SELECT count(*) FROM rights_request") == [(0,)]
