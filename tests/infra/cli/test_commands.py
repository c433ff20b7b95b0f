"""The list of commands: complete, in step with the commands, and cheap to show."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import click
import pytest
from flask import Flask

from preference_center.infra import commands
from preference_center.infra.commands import LazyCommand
from tests.catalogue.catalogues import SMALL

CHECKOUT = Path(__file__).resolve().parents[3]
WHOLE = 10_000  # characters: no help is cut at this length
HEAVY = {
    *("alembic", "babel", "boto3", "botocore", "cryptography", "dkim", "duckdb", "email_validator"),
    *("limits", "phonenumbers", "psycopg", "pydantic_settings", "redis", "rq", "structlog"),
}
SERVICE = {"alembic.config", "boto3", "psycopg", "pydantic_settings", "redis", "rq"}
FLASK = "from flask.cli import cli"
PROGRAM = "from preference_center.__main__ import build_program; cli = build_program()"
RUN = """
import json, sys
exec(sys.argv[2])
codes = []
for command in json.loads(sys.argv[1]):
    try:
        cli.main(command, "flask")
    except SystemExit as end:
        codes.append(end.code)
print(json.dumps([codes, [*sys.modules]]))
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """What commands did in one process of their own, without any setting."""

    codes: list[int]
    output: str
    errors: str
    modules: set[str]


def run(*commands: list[str], program: str = FLASK) -> Ran:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN, json.dumps(commands), program],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    output, _, reported = done.stdout.strip().rpartition("\n")
    codes, modules = json.loads(reported)
    return Ran(codes, output, done.stderr, {*modules})


def reachable(commands: Iterable[click.Command]) -> Iterator[click.Command]:
    """Yield these commands, and those in their groups, placeholders before what they stand for."""
    for command in commands:
        yield command
        if isinstance(command, LazyCommand):
            yield from reachable([command.load()])
        elif isinstance(command, click.Group):
            yield from reachable(command.commands.values())


def placeholders() -> list[LazyCommand]:
    found = reachable(commands.COMMANDS.values())
    return [command for command in found if isinstance(command, LazyCommand)]


@pytest.mark.parametrize("placeholder", placeholders(), ids=lambda command: command.target)
def test_a_placeholder_has_the_name_and_help_of_its_command(placeholder: LazyCommand) -> None:
    command = placeholder.load()
    assert command.name == placeholder.name
    assert command.get_short_help_str(WHOLE) == placeholder.get_short_help_str(WHOLE)


def test_every_command_in_the_package_can_be_reached_from_the_list() -> None:
    modules = [
        import_module(
            ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")
        )
        for path in sorted((CHECKOUT / "preference_center").rglob("*.py"))
        if "\nimport click\n" in path.read_text() and path.stem not in {"__main__", "main"}
    ]
    defined = {
        f"{module.__name__}: {value.name}": value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, click.Command)
    }
    listed = {id(command) for command in reachable(commands.COMMANDS.values())}
    assert [name for name, command in defined.items() if id(command) not in listed] == []


def test_the_application_has_every_command(app: Flask) -> None:
    assert {*commands.COMMANDS} <= {*app.cli.commands}


def test_showing_the_list_imports_nothing_heavy_and_needs_no_setting() -> None:
    ran = run(["--help"])
    assert (ran.codes, ran.errors) == ([0], "")
    for name in commands.COMMANDS:
        assert f"\n  {name} " in ran.output
    assert not {name.partition(".")[0] for name in ran.modules} & HEAVY
    assert "preference_center.app.web" not in ran.modules


def test_the_program_imports_no_database_and_no_api_for_a_command_that_needs_neither() -> None:
    ran = run(["--help"], ["keys", "generate"], program=PROGRAM)
    assert (ran.codes, ran.errors) == ([0, 0], "")
    assert "ENCRYPTION_KEYS=k1:" in ran.output
    assert not {"sqlalchemy", "apiflask", "marshmallow"} & ran.modules


def test_what_needs_no_setting_imports_nothing_of_the_service(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.toml"
    file.write_text(SMALL, encoding="utf-8")
    ran = run(["keys", "generate"], ["catalogue", "check", str(file)])
    assert ran.codes == [0, 0]
    assert "ENCRYPTION_KEYS=k1:" in ran.output
    assert f"{file} is valid" in ran.output
    assert [line.partition(":")[0] for line in ran.errors.splitlines()] == ["warning"] * 3
    assert not SERVICE & ran.modules


def test_without_settings_those_missing_are_named_without_a_traceback() -> None:
    ran = run(["destinations", "list"])
    assert ran.codes == [2]
    assert "LINK_KEYS: Field required" in ran.errors
    assert "postgresql://user:password@host/database" in ran.errors
    assert "Traceback" not in ran.errors


def test_flasks_own_commands_see_the_service() -> None:
    """Without settings the service can't be created, and these commands need it."""
    ran = run(["routes"], ["spec"], ["db", "current"])
    assert ran.codes == [2, 2, 2]
    assert ran.errors.count("LINK_KEYS: Field required") == 3
    assert "Traceback" not in ran.errors
