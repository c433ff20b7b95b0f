"""The program `preference-center` runs every command, every process of the Procfile, and the demo.

In a checkout it is `python -m preference_center`; `flask` has the same commands there.
"""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import click
from flask import Flask
from flask.cli import FlaskGroup, NoAppException

from preference_center import __version__
from preference_center.infra import commands
from preference_center.infra.commands import CommandApp, staff_name_option
from preference_center.infra.files import ROOT

PROCFILE = ROOT / "Procfile"


def read_procfile(path: Path = PROCFILE) -> dict[str, str]:
    """The command line of each process type, for a shell."""
    return dict(re.findall(r"^([A-Za-z0-9_-]+):\s*(.+)$", path.read_text(), re.MULTILINE))


def process_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` in which these command lines find this Python, its programs and our code."""
    return {
        **environ,
        "PATH": _prepend(str(Path(sys.executable).parent), environ.get("PATH")),
        "PYTHONPATH": _prepend(str(ROOT), environ.get("PYTHONPATH")),
    }


def become(name: str) -> NoReturn:
    """Replace this process with that of the Procfile, in the same folder and environment.

    Raises KeyError if it names no such process.
    """
    command = ["sh", "-c", f"exec {read_procfile()[name]}"]
    os.execvpe(command[0], command, process_environment(os.environ))  # noqa: S606 - no input of anybody's


def _prepend(folder: str, path: str | None) -> str:
    return f"{folder}{os.pathsep}{path}" if path else folder


PROGRAM = "preference-center"


_PROCESS_HELP = {
    "web": "Serve the pages and the API on HOST and PORT.",
    "console": "Serve the console for staff on HOST and CONSOLE_PORT.",
    "worker": "Push to the connected tools; any number of these.",
    "fresh": "Push only what people did, to tools that answer quickly; one at least.",
    "scheduler": "Wake the workers for what is due; one at least.",
    "publisher": "Publish the feed of changes to FEED_KAFKA_TOPIC.",
    "mail": "Receive opt-outs by mail on MAIL_RECEIVER_PORT.",
}


def create_app() -> CommandApp:
    """The commands. The service is created when one of them needs it."""
    app = CommandApp(_create_service)
    commands.register(app)
    return app


def _create_service() -> Flask:
    """The service with the time limits of commands. Raises NoAppException, which `flask` shows."""
    # Imported late, so that `--help` takes a fifth of a second and not two; the settings first, so
    # that what is missing is named before the service is imported.
    from preference_center.core.errors import ConfigError  # noqa: PLC0415
    from preference_center.infra.config import load_settings  # noqa: PLC0415

    try:
        settings = load_settings()
        from preference_center.app.service import create_service  # noqa: PLC0415
        from preference_center.infra.db.connections import COMMAND_TIMEOUTS  # noqa: PLC0415

        app = create_service(settings, timeouts=COMMAND_TIMEOUTS)
    except ConfigError as error:
        raise NoAppException(str(error)) from error
    gc.freeze()  # else the collector scans every module at the end: half a second
    return app


@click.command(
    "run",
    short_help="Start everything with a demo to click through; Ctrl-C stops it.",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def _run_demo(arguments: tuple[str, ...]) -> None:
    """Start everything with a demo to click through; Ctrl-C stops it."""
    sys.path.insert(0, str(ROOT))
    from importlib import import_module  # noqa: PLC0415 - the demo is no part of the service

    demo = import_module("dev.run")
    sys.exit(demo.main(list(arguments)))


def _process_command(name: str) -> click.Command:
    return click.Command(name, callback=lambda: become(name), help=_PROCESS_HELP[name])


class _Program(FlaskGroup):
    """`flask` without the commands of other packages, whose import takes half of `--help`."""

    def _load_plugin_commands(self) -> None:
        """None: APIFlask's `spec` writes what `/v1/openapi.json` serves."""


def build_program() -> click.Group:
    """The program with all its commands."""
    group = _Program(
        name=PROGRAM,
        create_app=create_app,
        add_default_commands=False,
        add_version_option=False,
        help="A preference center and suppression service for marketing.",
    )
    group.params = [each for each in group.params if each.name not in {"app", "debug"}]
    group.params.append(staff_name_option())
    click.version_option(__version__, prog_name=PROGRAM)(group)
    group.add_command(_run_demo)
    for name in read_procfile():
        group.add_command(_process_command(name))
    return group


def main() -> None:
    """Run one command."""
    build_program().main(prog_name=PROGRAM)


if __name__ == "__main__":
    main()
