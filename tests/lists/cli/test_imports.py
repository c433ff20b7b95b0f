from __future__ import annotations

import csv
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from preference_center.infra.db.transactions import run_in_transaction
from tests.in_force import put_in_force

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask

EXPORTS = Path(__file__).parents[1] / "imports/exports"
GROUPS = str(EXPORTS / "sendgrid-groups.csv")
GLOBAL = str(EXPORTS / "sendgrid-unsubscribes.csv")
MAPPED = ["--scope", "Weekly News=acme.news", "--scope", "Daily News=all_marketing"]


@pytest.fixture
def in_force(app: Flask) -> Flask:
    put_in_force(app)
    return app


def flask(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["imports", *words])


def count(app: Flask, table: str) -> int:
    with app.app_context():
        row = run_in_transaction(
            lambda c: c.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
        )
    return int(row[0]) if row else 0


def suggested(result: Result) -> list[str]:
    """The words of the command that a plan prints to copy."""
    (line,) = [text for text in result.output.splitlines() if text.startswith("flask imports ")]
    return shlex.split(line)[2:]


def test_a_plan_leads_to_apply_and_apply_to_undo(in_force: Flask) -> None:
    plan = flask(in_force, "plan", GROUPS, "--preset", "sendgrid-groups", *MAPPED)
    assert plan.exit_code == 0
    assert "Nothing is lifted" in plan.output
    assert "nothing was written" in plan.output
    assert count(in_force, "event") == count(in_force, "list_import") == 0

    applied = flask(in_force, *suggested(plan), "--no-pause")
    assert applied.exit_code == 0
    assert "3  new" in applied.output
    assert count(in_force, "event") == 3

    again = flask(in_force, "plan", GROUPS, "--preset", "sendgrid-groups", *MAPPED)
    assert "3  already present" in again.output
    assert "There is nothing to import." in again.output

    import_id = applied.output.rsplit("undo ", 1)[1].split()[0]
    assert "applied" in flask(in_force, "status", import_id).output
    assert "3 events" in flask(in_force, "undo", import_id).output
    assert "undone" in flask(in_force, "list").output


def test_a_proposed_date_format_is_repeated_for_apply(in_force: Flask, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("email,date\nada@example.com,25/12/2023\n")
    words = [str(path), "--preset", "generic-list", "--meaning", "opt-outs", "--scope"]
    words.append("list=all_marketing")
    refused = flask(in_force, "plan", *words)
    assert refused.exit_code == 1
    assert "--date-format" in refused.output
    plan = flask(in_force, "plan", *words, "--date-format", "%d/%m/%Y", "--date-format", "%d.%m.%y")
    assert flask(in_force, *suggested(plan)).exit_code == 0
    assert count(in_force, "event") == 1


def test_a_plan_without_dates_names_the_columns_that_it_did_not_read(
    in_force: Flask, tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    path.write_text("email,Abmeldung\nada@example.com,25/12/2023\n")
    words = [str(path), "--preset", "generic-list", "--meaning", "opt-outs", "--group-column", "-"]
    plan = flask(in_force, "plan", *words, "--scope", "list=all_marketing")
    assert "Not read: Abmeldung. " in plan.output
    assert "--date-column" in plan.output


def test_a_missing_scope_lists_the_groups_and_what_to_copy(in_force: Flask) -> None:
    result = flask(in_force, "plan", GROUPS, "--preset", "sendgrid-groups")

    assert result.exit_code == 1
    assert '"Daily News" = "all_marketing"' in result.stderr
    assert "acme.news" in result.stderr


def test_what_the_error_shows_can_be_used_as_it_is(in_force: Flask, tmp_path: Path) -> None:
    output = flask(in_force, "plan", GROUPS, "--preset", "sendgrid-groups").stderr
    scopes = tmp_path / "map.toml"
    scopes.write_text(output[output.index("[scopes]") :])

    result = flask(
        in_force, "plan", GROUPS, "--preset", "sendgrid-groups", "--scope-map", str(scopes)
    )
    assert result.exit_code == 0
    assert "3    opt_out of all_marketing" in result.output


def test_refusals_go_to_a_file_without_addresses(in_force: Flask, tmp_path: Path) -> None:
    # I12
    path = tmp_path / "refused.csv"
    words = ["--preset", "sendgrid-unsubscribes", "--scope", "global unsubscribes=all_marketing"]
    result = flask(in_force, "plan", GLOBAL, *words, "--refused", str(path))

    rows = list(csv.reader(path.read_text().splitlines()))
    assert rows[0] == ["line", "reason"]
    assert rows[1][0] == "4"
    assert "line 4" in result.stderr
    for text in (path.read_text(), result.output, result.stderr):
        assert "example.com" not in text.replace(GLOBAL, "")


def test_names_of_the_map_that_the_file_lacks_are_reported(in_force: Flask) -> None:
    words = ["--preset", "sendgrid-groups", *MAPPED, "--scope", "Wekly=acme.news"]
    result = flask(in_force, "plan", GROUPS, *words)
    assert '"wekly"' in result.stderr


def test_presets_teach_what_they_read(in_force: Flask) -> None:
    every = flask(in_force, "presets").output
    assert "mailchimp-unsubscribed" in every
    one = flask(in_force, "presets", "hubspot-contacts").output
    assert "... opted out ..., ... opt-out ..." in one
    assert "https://" in one


@pytest.mark.parametrize(
    "words, exit_code, expected_message",
    [
        (["plan"], 2, "Missing argument 'FILE'"),
        (["plan", "nowhere.csv", "--preset", "addresses"], 2, "does not exist"),
        (["plan", GROUPS], 2, "Missing option '--preset'"),
        (["plan", GROUPS, "--preset", "sendgrid-group"], 2, 'did you mean "sendgrid-groups"'),
        (["plan", GROUPS, "--preset", "sendgrid-groups", "--scope", "News"], 2, "GROUP=SCOPE"),
        (["plan", GROUPS, "--preset", "addresses"], 2, "opt-outs or subscriptions"),
        (
            ["plan", GROUPS, "--preset", "hashes", "--meaning", "subscriptions"],
            2,
            "a hash can't be subscribed",
        ),
        (["plan", GROUPS, "--preset", "sendgrid-groups", "--time-zone", "Rome"], 2, "Europe/Rome"),
        (["plan", GROUPS, "--preset", "sendgrid-bounces"], 1, "could fit: sendgrid-groups"),
        (["plan", GROUPS, "--preset", "sendgrid-groups", "--scope", "x=a.b"], 1, "no such topic"),
        (
            ["plan", GROUPS, "--preset", "sendgrid-groups", "--scope", "x=a", "--scope", "X=b"],
            2,
            "two scopes",
        ),
        (["apply", GROUPS, "--preset", "sendgrid-groups"], 2, "Missing option '--plan'"),
        (["apply", GROUPS, "--preset", "sendgrid-groups", *MAPPED, "--plan", "x"], 1, "run `flask"),
        (["undo", "12"], 2, "not a valid UUID"),
        (["undo", "00000000-0000-0000-0000-000000000001"], 1, "no import of this id"),
        (["status", "00000000-0000-0000-0000-000000000001"], 1, "no import of this id"),
    ],
)
def test_a_wrong_command_states_what_to_fix_and_writes_nothing(
    in_force: Flask, words: list[str], exit_code: int, expected_message: str
) -> None:
    result = flask(in_force, *words)

    assert result.exit_code == exit_code
    assert expected_message in result.stderr
    assert count(in_force, "event") == count(in_force, "list_import") == 0
