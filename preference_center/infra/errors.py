"""Error messages and exit codes of CLI commands.

0: success. 1: failure; the message states the reason. 2: invalid command line (click's own
code).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click

from preference_center.core.errors import InvalidInput, PreferenceCenterError, Unavailable


@contextmanager
def click_errors() -> Iterator[None]:
    """Turn our errors into a message and exit code instead of a traceback."""
    try:
        yield
    except Unavailable as error:
        stated = f" ({error.reason})" if error.reason else ""
        raise click.ClickException(f"{error}{stated}") from None
    except PreferenceCenterError as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def click_bad_parameter(name: str) -> Iterator[None]:
    """The same for the value of one argument or option: exit code 2, with usage."""
    try:
        yield
    except InvalidInput as error:
        raise click.BadParameter(str(error), param_hint=name) from None


def read_stdin_lines(prompt: str) -> Iterator[str]:
    """The non-blank lines of standard input; `prompt` is shown on a terminal.

    For personal data: the arguments of a command are visible to every user of the host, and the
    shell stores them (I12).
    """
    stream = sys.stdin
    if stream.isatty():
        click.echo(f"{prompt}, one per line; end with Ctrl-D:", err=True)
    return (line.strip() for line in stream if line.strip())


def reject_address_arguments(arguments: Sequence[str], example: str) -> None:
    """Raises UsageError if an address was given on the command line; `-` is allowed."""
    if any(text != "-" for text in arguments):
        raise click.UsageError(
            "an address on the command line is visible to every user of this host, and stays in"
            " the shell's history. Omit it and type it at the prompt, or pipe it:"
            f" {example}"
        )


class Timestamp(click.ParamType[datetime]):
    """A point in time with its time zone (ISO 8601), as an aware datetime."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Parse a time; fails with a message that shows the format."""
        if isinstance(value, datetime):
            return value
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            self.fail("not a valid time; use e.g. 2026-11-24T09:30+01:00", param, ctx)
        if time.tzinfo is None:
            self.fail("add the time zone, e.g. 2026-11-24T09:30+01:00", param, ctx)
        return time
