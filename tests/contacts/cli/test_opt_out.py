from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from preference_center.infra.db.transactions import run_in_transaction
from tests.clock import START
from tests.in_force import put_in_force
from tests.ledger.changes import EVENT_WITH_EVIDENCE

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask


@pytest.fixture
def in_force(app: Flask) -> Flask:
    put_in_force(app)
    return app


def flask(app: Flask, address: str, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["opt-out", *words], input=f"{address}\n")


def events(app: Flask) -> list[tuple[Any, ...]]:
    query = f"SELECT kind, scope, actor, evidence, received_at FROM {EVENT_WITH_EVIDENCE}".encode()
    with app.app_context():
        return run_in_transaction(lambda connection: connection.execute(query).fetchall())


def test_an_opt_out_by_phone_covers_all_marketing_from_now(in_force: Flask) -> None:
    result = flask(in_force, "Ada@Example.com", "--via", "phone")

    assert result.exit_code == 0
    assert "Recorded" in result.output
    assert events(in_force) == [
        ("opted_out", "all_marketing", "cli:grace", {"via": "phone"}, START)
    ]


def test_one_of_sale_and_sharing_is_recorded_as_such(in_force: Flask) -> None:
    result = flask(in_force, "ada@example.com", "--via", "phone", "--scope", "sharing")

    assert result.exit_code == 0
    assert [event[:2] for event in events(in_force)] == [("opted_out", "sharing")]


def test_the_clock_runs_from_when_the_company_received_it(in_force: Flask) -> None:
    # I3
    words = [
        "--via",
        "postal_mail",
        "--scope",
        "acme.news",
        "--received-at",
        "2026-11-23T10:30+01:00",
    ]
    result = flask(in_force, "ada@example.com", *words)

    assert result.exit_code == 0
    assert events(in_force)[0][-1] == datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


def test_repeating_it_is_harmless_and_reports_it(in_force: Flask) -> None:
    # I7
    flask(in_force, "ada@example.com", "--via", "phone")
    result = flask(in_force, "ada@example.com", "--via", "phone")

    assert result.exit_code == 0
    assert "Already opted out" in result.output
    assert len(events(in_force)) == 1


def test_the_address_is_not_repeated_on_the_screen(in_force: Flask) -> None:
    # I12: output ends up in logs
    for words in (["--via", "phone"], ["--via", "phone", "--scope", "acme.sms"]):
        result = flask(in_force, "ada@example.com", *words)
        assert "ada@" not in result.stdout


@pytest.mark.parametrize(
    "words, exit_code, expected",
    [
        (["ada@example.com", "ada@example.com", "--via", "phone"], 2, "shell's history"),
        (["ada@example.com"], 2, "Missing option '--via'"),
        (["ada@example.com", "--via", "telegraph"], 2, "'phone', 'postal_mail'"),
        (["ada at example", "--via", "phone"], 2, "Address"),
        (["12", "--via", "phone", "--channel", "sms"], 2, "Address"),
        (["ada@example.com", "--via", "phone", "--scope", "acme.newz"], 2, "did you mean"),
        (["ada@example.com", "--via", "phone", "--scope", "acme.sms"], 2, "sent by sms"),
        (["ada@example.com", "--via", "phone", "--received-at", "yesterday"], 2, "2026-11-24T"),
        (["ada@example.com", "--via", "phone", "--received-at", "2026-11-24"], 2, "time zone"),
        (["a@example.com", "--via", "phone", "--received-at", "2030-01-01T00Z"], 2, "future"),
    ],
)
def test_a_wrong_command_names_the_remedy_and_records_nothing(
    in_force: Flask, words: list[str], exit_code: int, expected: str
) -> None:
    result = flask(in_force, *words)

    assert result.exit_code == exit_code
    assert expected in result.stderr
    assert events(in_force) == []


def test_without_a_catalogue_it_shows_how_to_get_one(app: Flask) -> None:
    result = flask(app, "ada@example.com", "--via", "phone")

    assert result.exit_code == 1
    assert "flask catalogue apply" in result.stderr


def test_no_address_is_taken_from_the_command_line(in_force: Flask) -> None:  # I12
    result = flask(in_force, "", "ada@example.com", "--via", "phone")
    assert result.exit_code == 2
    assert "every user of this host" in result.stderr
    assert "flask opt-out --via phone < address.txt" in " ".join(result.stderr.split())
    assert events(in_force) == []
