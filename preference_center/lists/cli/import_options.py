"""The options of `flask imports plan` and `apply` that state how to read a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from preference_center.core.addresses import Channel
from preference_center.core.errors import InvalidInput, MissingScopes
from preference_center.infra.commands import Timestamp, click_bad_parameter
from preference_center.integrations.base.presets import MeaningFilter
from preference_center.lists.imports.plan import build_instructions
from preference_center.lists.rules.instructions import (
    ENCODINGS,
    ImportInstructions,
    LegalBasis,
    ScopeMap,
    build_scope_map,
    parse_scope,
    parse_scope_file,
)
from preference_center.lists.rules.rows import UnreadableDates

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

file_argument = click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
)

_OPTIONS = (
    click.option(
        "--preset",
        required=True,
        help="The format of the file: `flask imports presets` lists them.",
    ),
    click.option(
        "--scope",
        "scopes",
        multiple=True,
        metavar="GROUP=SCOPE",
        help="The scope of a group or list in the file: a topic, all_marketing, or leave_out."
        " Repeatable. Omit it once: the error lists the groups.",
    ),
    click.option(
        "--scope-map",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help='The same in a TOML file: a table [scopes] with lines "GROUP" = "SCOPE".',
    ),
    click.option(
        "--meaning",
        "only",
        type=click.Choice([only.value for only in MeaningFilter]),
        help="Import only rows with this meaning; for a plain list: the meaning of its rows.",
    ),
    click.option(
        "--channel",
        type=click.Choice([channel.value for channel in Channel]),
        default=Channel.EMAIL.value,
        show_default=True,
        help="The channel of the addresses, where the file does not state it.",
    ),
    click.option("--source", default="", help="Evidence: where people subscribed."),
    click.option("--wording", default="", help="Evidence: the text that they agreed to."),
    click.option("--language", default="", help="Evidence: the language of that text, e.g. it."),
    click.option(
        "--legal-basis",
        type=click.Choice([basis.value for basis in LegalBasis]),
        help="Evidence: the legal basis for messages to subscribers.",
    ),
    click.option(
        "--column",
        default="",
        help="Name of the column with the address, where it is not found by itself.",
    ),
    click.option(
        "--date-column", default="", help="Name of the column with the date of an opt-out."
    ),
    click.option(
        "--group-column",
        default="",
        help="Name of the column with the group or list, where it is not found by itself; - if all"
        " rows are of one.",
    ),
    click.option(
        "--date-format",
        "date_formats",
        multiple=True,
        help="How the file writes dates, besides ISO 8601: %d/%m/%Y for 25/12/2031. Repeatable."
        " Omit it once: the error proposes one.",
    ),
    click.option(
        "--unreadable-dates",
        type=click.Choice([each.value for each in UnreadableDates]),
        default=UnreadableDates.REFUSE.value,
        show_default=True,
        help="Refuse a file with dates that can't be read, or let these opt-outs count from now.",
    ),
    click.option(
        "--time-zone",
        default="UTC",
        show_default=True,
        help="Time zone of times in the file that have none, e.g. Europe/Rome.",
    ),
    click.option(
        "--encoding", type=click.Choice(ENCODINGS), default=ENCODINGS[0], show_default=True
    ),
    click.option(
        "--received-at",
        type=Timestamp(),
        help="When the company received the list; default: now. The 72 hours count from this time.",
    ),
)


def format_options(command: F) -> F:
    """Add all options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@contextmanager
def explain_missing_scopes() -> Iterator[None]:
    """Add an example scope map to the error if groups have no scope."""
    try:
        yield
    except MissingScopes as error:
        raise InvalidInput(
            f"{error}\nCopy this into a file for --scope-map, and correct it:\n{error.example}"
        ) from None


_OPTION_NAMES = {"only": "--meaning", "date_formats": "--date-format"}


def parse_instructions(
    *, scopes: tuple[str, ...], scope_map: Path | None, **given: Any
) -> ImportInstructions:
    """The instructions from the options. Raises BadParameter for an invalid one."""

    def collect(name: str, parse: Callable[..., T], *values: object) -> T:
        option = _OPTION_NAMES.get(name, f"--{name.replace('_', '-')}")
        with click_bad_parameter(option):
            return parse(*values)

    instructions = build_instructions(given, _parse_scopes(scopes, scope_map), collect)
    assert instructions  # `collect` raises
    return instructions


def _parse_scopes(options: tuple[str, ...], file: Path | None) -> ScopeMap:
    with click_bad_parameter("--scope"):
        pairs = [parse_scope(text) for text in options]
    with click_bad_parameter("--scope-map"):
        if file:
            try:
                pairs += parse_scope_file(file.read_text("utf-8-sig"))
            except UnicodeDecodeError:
                raise click.BadParameter("save it as UTF-8", param_hint="--scope-map") from None
        return build_scope_map(pairs)
