"""The list of commands: complete, in step with the commands, and cheap to show."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import click
import pytest
from flask import Flask

from preference_center import cli
from preference_center.cli.lazy_command import LazyCommand
from tests.domain.catalogues import SMALL

CHECKOUT = Path(__file__).resolve().parents[2]
WHOLE = 10_000  # characters: no help is cut at this length
HEAVY = {
    *("alembic", "babel", "boto3", "botocore", "cryptography", "dkim", "duckdb", "email_validator"),
    *("limits", "phonenumbers", "psycopg", "pydantic_settings", "redis", "rq", "structlog"),
}
SERVICE = {"alembic.config", "boto3", "psycopg", "pydantic_settings", "redis", "rq"}
RUN = """
import json, sys
from flask.cli import cli
for command in json.loads(sys.argv[1]):
    try:
        cli.main(command, "flask")
    except SystemExit as end:
        if end.code:
            raise
print(json.dumps([*sys.modules]))
"""


def reachable(commands: Iterable[click.Command]) -> Iterator[click.Command]:
    """Yield these commands, and those in their groups, placeholders before what they stand for."""
    for command in commands:
        yield command
        if isinstance(command, LazyCommand):
            yield from reachable([command.load()])
        elif isinstance(command, click.Group):
            yield from reachable(command.commands.values())


def placeholders() -> list[LazyCommand]:
    found = reachable(cli.COMMANDS.values())
    return [command for command in found if isinstance(command, LazyCommand)]


@pytest.mark.parametrize("placeholder", placeholders(), ids=lambda command: command.target)
def test_a_placeholder_has_the_name_and_help_of_its_command(placeholder: LazyCommand) -> None:
    command = placeholder.load()
    assert command.name == placeholder.name
    assert command.get_short_help_str(WHOLE) == placeholder.get_short_help_str(WHOLE)


def test_every_command_in_the_package_can_be_reached_from_the_list() -> None:
    modules = [import_module(f"{cli.__name__}.{each.name}") for each in iter_modules(cli.__path__)]
    defined = {
        f"{module.__name__}: {value.name}": value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, click.Command)
    }
    listed = {id(command) for command in reachable(cli.COMMANDS.values())}
    assert [name for name, command in defined.items() if id(command) not in listed] == []


def test_the_application_has_every_command(app: Flask) -> None:
    assert {*cli.COMMANDS} <= {*app.cli.commands}


def run(*commands: list[str]) -> tuple[str, str, list[str]]:
    """Without any setting: the output and errors of these commands, and the modules imported."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(commands)],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    shown, _, modules = done.stdout.strip().rpartition("\n")
    return shown, done.stderr, json.loads(modules)


def test_showing_the_list_imports_nothing_heavy_and_needs_no_setting() -> None:
    shown, errors, modules = run(["--help"])
    assert errors == ""
    for name in cli.COMMANDS:
        assert f"\n  {name} " in shown
    assert not {name.partition(".")[0] for name in modules} & HEAVY
    assert "preference_center.app" not in modules


def test_what_needs_no_setting_imports_nothing_of_the_service(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.toml"
    file.write_text(SMALL, encoding="utf-8")
    shown, _, modules = run(["keys", "generate"], ["catalogue", "check", str(file)])
    assert "ENCRYPTION_KEYS=k1:" in shown
    assert f"{file} is valid" in shown
    assert not SERVICE & {*modules}


@pytest.mark.parametrize("command", [["routes"], ["spec"], ["db", "current"]])
def test_flasks_own_commands_see_the_service(command: list[str]) -> None:
    """Without settings the service can't be created, and these commands need it."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", *command],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
