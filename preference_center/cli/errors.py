"""How commands tell what to mend, and the exit codes they end with.

0: done. 1: it could not be done, for a reason that the message names. 2: the command
line itself is wrong (click's own code).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click

from preference_center.errors import InvalidInput, PreferenceCenterError


@contextmanager
def click_errors() -> Iterator[None]:
    """Turn our errors into a message and exit code instead of a traceback."""
    try:
        yield
    except PreferenceCenterError as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def click_bad_parameter(name: str) -> Iterator[None]:
    """The same for what was typed for one argument or option: exit code 2, with usage."""
    try:
        yield
    except InvalidInput as error:
        raise click.BadParameter(str(error), param_hint=name) from None


def read_stdin_lines(prompt: str) -> Iterator[str]:
    """The lines of standard input, without blank ones; a person at a terminal is asked.

    For what is personal: arguments of a command are seen by every user of the host, and kept
    by the shell (I12).
    """
    stream = sys.stdin
    if stream.isatty():
        click.echo(f"{prompt}, one a line; end with Ctrl-D:", err=True)
    return (line.strip() for line in stream if line.strip())


def reject_address_arguments(arguments: Sequence[str], example: str) -> None:
    """Raises UsageError if an address was given on the command line; `-` is allowed."""
    if any(text != "-" for text in arguments):
        raise click.UsageError(
            "an address on the command line can be seen by every user of this host, and stays in"
            " the shell's history. Leave it out and type it when asked, or pipe it:"
            f" {example}"
        )


class Timestamp(click.ParamType[datetime]):
    """A point in time with its time zone (ISO 8601), as an aware datetime."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The time that was typed; fails with what to mend."""
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail("this is no time: write it like 2026-11-24T09:30+01:00", param, ctx)
        if moment.tzinfo is None:
            self.fail("add the time zone, as in 2026-11-24T09:30+01:00", param, ctx)
        return moment
