"""Every command records who ran it: by `--as`, by STAFF_NAME, or by the user of the machine."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner, Result

from preference_center.__main__ import build_program
from preference_center.infra import commands
from preference_center.infra.commands import (
    CommandGroup,
    actor,
    add_staff_name_option,
    staff_name_option,
)
from preference_center.infra.db.transactions import run_in_transaction
from tests.in_force import put_in_force
from tests.infra.cli.test_commands import CHECKOUT, reachable

if TYPE_CHECKING:
    from flask import Flask


def run(*words: str, name: str | None = None, program: click.Command | None = None) -> Result:
    environment = {"STAFF_NAME": name}
    return CliRunner().invoke(program or whole_program(), words, env=environment)


def whole_program() -> click.Group:
    """A program with `--as`, and a command with it."""
    group = click.Group("program", params=[staff_name_option()])

    def show() -> None:
        click.echo(actor())

    add_staff_name_option(show)
    group.command("show")(show)
    return group


@pytest.mark.parametrize(
    "words, name, expected",
    [
        (["--as", "ada", "show"], None, "cli:ada"),
        (["show", "--as", "ada"], None, "cli:ada"),
        (["--as", "ada", "show", "--as", "grace.hopper"], None, "cli:grace.hopper"),
        (["show"], "grace", "cli:grace"),
        (["--as", "ada", "show"], "grace", "cli:ada"),
        (["--as", "ada", "show"], "not a name", "cli:ada"),
        (["show", "--as", "a" * 64], None, "cli:" + "a" * 64),
    ],
)
def test_the_innermost_name_counts_before_that_of_the_environment(
    words: list[str], name: str | None, expected: str
) -> None:
    assert run(*words, name=name).output == f"{expected}\n"


@pytest.mark.parametrize("name", ["ada lovelace", "ada:admin", "a" * 65, "", "-ada", "adà"])
def test_what_is_no_name_is_refused(name: str) -> None:
    refused = run("show", "--as", name)
    assert refused.exit_code == 2
    assert "1 to 64 letters" in refused.output
    assert "cli:" not in refused.output


@pytest.mark.parametrize(
    "words, name", [(["--as", "hedy@example.com"], None), ([], "hedy@x.example")]
)
def test_an_address_is_refused_with_what_to_write_and_not_repeated(  # I12
    words: list[str], name: str | None
) -> None:
    refused = run("show", *words, name=name)
    assert refused.exit_code == 2
    assert "no email address: write" in refused.output
    assert "hedy" not in refused.output


def test_an_invalid_name_of_the_environment_is_named_and_the_process_commands_still_start() -> None:
    assert "STAFF_NAME: " in run("show", name="ada lovelace").output
    assert run("--version", name="ada lovelace", program=build_program()).exit_code == 0


@pytest.mark.parametrize("unset", [None, ""])
def test_else_it_is_the_user_of_the_machine(
    unset: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "operator")
    assert run("show", name=unset).output == "cli:operator\n"


@pytest.mark.parametrize("error", [KeyError("uid not found"), OSError("No username set")])
def test_a_user_without_a_name_is_a_number(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", fail)
    assert run("show").output == f"cli:uid-{os.getuid()}\n"


def test_so_is_one_whose_name_is_an_address(monkeypatch: pytest.MonkeyPatch) -> None:  # I12
    monkeypatch.setattr(getpass, "getuser", lambda: "ada@corp.example")
    assert run("show").output == f"cli:uid-{os.getuid()}\n"


def test_the_program_and_every_command_of_the_service_has_the_option() -> None:
    assert "--as NAME" in run("--help", program=build_program()).output
    lacking = {
        each.name
        for each in reachable(commands.COMMANDS.values())
        if getattr(each.callback, "__wrapped__", None)
        and each.callback.__module__.startswith(commands.__name__)
        and "staff_name" not in {option.name for option in each.params}
    }
    assert lacking == set()


def test_no_command_uses_the_option_for_something_else() -> None:
    others = [
        f"{each.name}: {option.name}"
        for each in reachable(commands.COMMANDS.values())
        for option in each.params
        if "--as" in option.opts and option.name != "staff_name"
    ]
    assert others == []


def test_no_command_has_an_actor_of_its_own() -> None:
    modules = (CHECKOUT / "preference_center").rglob("*.py")
    of_commands = [path for path in modules if "\nimport click\n" in path.read_text()]
    assert len([path for path in of_commands if '"cli"' in path.read_text()]) == 1


def test_it_is_the_last_option_in_the_help() -> None:
    group = CommandGroup("group")

    @group.command("show")
    @click.option("--first")
    @click.option("--second")
    def _show(first: str, second: str) -> None:
        """Show nothing."""

    assert [each.name for each in group.commands["show"].params] == [
        "first",
        "second",
        "staff_name",
    ]


def test_the_ledger_and_the_audit_have_the_name(app: Flask) -> None:
    put_in_force(app)
    runner = app.test_cli_runner()
    recorded = runner.invoke(
        args=["opt-out", "--via", "phone", "--as", "ada"], input="grace@example.com\n"
    )
    made = runner.invoke(args=["keys", "add", "shop", "--scope", "write", "--as", "ada"])
    assert (recorded.exit_code, made.exit_code) == (0, 0)
    assert rows(app, "SELECT source, actor FROM event") == [("cli", "cli:ada")]
    assert rows(app, "SELECT actor FROM audit WHERE action = 'api_key.created'") == [("cli:ada",)]


def rows(app: Flask, query: str) -> list[tuple[Any, ...]]:
    with app.app_context():
        return run_in_transaction(lambda connection: connection.execute(query.encode()).fetchall())
