"""`flask policies disclose`: inform named people of one disclosure."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from tests.contacts.notices.people import add_people, announce_in, rows

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result
    from flask import Flask

NAMED = "ada@work.example\n\ngrace@example.com\ncarl@example.com\nnobody@example.com\n"
"""Ada by her bounced address, Grace, Carl who closed his account, and nobody that we know."""


@pytest.fixture
def app(app: Flask) -> Flask:
    announce_in(app)
    with app.app_context():
        add_people()
    return app


def disclose(
    app: Flask, path: Path, *words: str, typed: str = NAMED, name: str = "court"
) -> Result:
    options = ["--message-type", "policy_update", "-o", str(path), *words]
    command = ["policies", "disclose", name, *options]
    return app.test_cli_runner().invoke(args=command, input=typed)


def addresses(path: Path) -> set[str]:
    with path.open(newline="") as text:
        return {row["address"] for row in csv.DictReader(text)}


def test_only_the_named_are_written_and_recorded(app: Flask, tmp_path: Path) -> None:
    path = tmp_path / "notices.csv"
    result = disclose(app, path)
    assert result.exit_code == 0, result.output
    assert "written\t2" in result.stdout
    assert addresses(path) == {"ada@example.com", "grace@example.com"}  # Ada where she is reached
    with app.app_context():
        found = rows("SELECT version, via, noticed_at IS NOT NULL FROM policy_notice")
        assert found == [("disclosure/court", "csv", True)] * 2
        [[details]] = rows("SELECT detail FROM audit WHERE action = 'policy.disclosed'")
        assert details == {"version": "disclosure/court"}
    status = app.test_cli_runner().invoke(
        args=["policies", "status", "--address"], input="grace@example.com\n"
    )
    assert status.stdout.startswith("disclosure/court\treachable")


def test_the_same_name_again_adds_people_and_informs_nobody_twice(
    app: Flask, tmp_path: Path
) -> None:
    path = tmp_path / "notices.csv"
    disclose(app, path)
    assert disclose(app, path, typed="grace@example.com\nzoe@example.com\n").exit_code == 0
    with app.app_context():
        assert rows("SELECT count(*) FROM policy_notice") == [(3,)]


def test_addresses_are_not_taken_from_the_command_line(app: Flask, tmp_path: Path) -> None:  # I12
    result = disclose(app, tmp_path / "a.csv", "ada@example.com")
    assert result.exit_code == 2
    assert "ada@" not in result.output


@pytest.mark.parametrize(
    "words, typed, name, problem",
    [
        ((), "ada@example.com\nnot an address\n", "court", "line 2"),
        ((), "\n", "court", "it has no address"),
        ((), NAMED, "2027/court", "use 1 to 32 of"),
        (("--message-type", "unknown"), NAMED, "court", "declare it there first"),
    ],
)
def test_wrong_arguments_are_named(
    app: Flask, tmp_path: Path, words: tuple[str, ...], typed: str, name: str, problem: str
) -> None:
    result = disclose(app, tmp_path / "a.csv", *words, typed=typed, name=name)
    assert result.exit_code == 2
    assert problem in result.stderr
    assert not (tmp_path / "a.csv").exists()
