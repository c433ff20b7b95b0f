"""Who runs a command, for everything that a command records."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from typing import Any

import click

from preference_center.core.errors import InvalidInput
from preference_center.core.staff import validate_staff_name

SOURCE = "cli"
STAFF_NAME = "STAFF_NAME"
"""The environment variable that names who runs commands in this environment."""

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
        try:
            context.meta[_KEY] = validate_staff_name(value)
        except InvalidInput as error:
            raise click.BadParameter(str(error)) from None
    elif context.parent and _KEY not in context.meta and not context.resilient_parsing:
        _name_of_environment()  # before the command does anything


def _name_of_environment() -> str | None:
    name = os.environ.get(STAFF_NAME)
    try:
        return validate_staff_name(name) if name else None
    except InvalidInput as error:
        raise click.UsageError(f"{STAFF_NAME}: {error}") from None


def _name_of_user() -> str:
    try:
        return validate_staff_name(getpass.getuser())
    except (InvalidInput, KeyError, OSError):  # the last two: /etc/passwd has nobody of this number
        return f"uid-{os.getuid()}"
