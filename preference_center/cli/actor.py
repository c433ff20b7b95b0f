"""Who runs a command, for everything that a command records."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Callable
from typing import Any

import click

SOURCE = "cli"
STAFF_NAME = "STAFF_NAME"
"""The environment variable that names who runs commands in this environment."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KEY = f"{__name__}.name"
"""Where the context of a command, and of those that called it, keeps what `--as` gave."""


def actor() -> str:
    """`cli:NAME`: that of `--as`, of STAFF_NAME, or of the operating system's user.

    A user without a name, as containers have, or whose name can't be recorded, is `uid-` and the
    number.
    """
    context = click.get_current_context(silent=True)
    given = context.meta.get(_KEY) if context else None
    return f"{SOURCE}:{given or _name_of_environment() or _name_of_user()}"


def staff_name_option() -> click.Option:
    """The option `--as`, of commands and of the program itself; the innermost one counts."""
    return click.Option(
        ["--as", "staff_name"],
        metavar="NAME",
        expose_value=False,
        callback=_remember,
        help=f"Who you are, for the audit; default: {STAFF_NAME}, else your user on this machine.",
    )


def add_staff_name_option(function: Callable[..., Any]) -> None:
    """Give `--as` to a function that becomes a command, as the last of its options."""
    # Where click's own decorators collect them, in reverse.
    function.__dict__.setdefault("__click_params__", []).insert(0, staff_name_option())


def _remember(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        problem = _problem_of(value)
        if problem:
            raise click.BadParameter(problem)
        context.meta[_KEY] = value
    elif context.parent and _KEY not in context.meta and not context.resilient_parsing:
        _name_of_environment()  # before the command does anything


def _problem_of(name: str) -> str | None:
    """What to write instead; None if the name is valid."""
    if _NAME.fullmatch(name):
        return None
    if "@" in name:
        return "give a name, not an email address: the part before the @, say"
    return "a name has up to 64 letters of the English alphabet, digits, dots, - and _, no spaces"


def _name_of_environment() -> str | None:
    name = os.environ.get(STAFF_NAME)
    problem = _problem_of(name) if name else None
    if problem:
        raise click.UsageError(f"{STAFF_NAME}: {problem}")
    return name


def _name_of_user() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # nobody of this number is in /etc/passwd
        name = ""
    return name if _NAME.fullmatch(name) else f"uid-{os.getuid()}"
