"""Reading a catalogue with the files that it names, and what its commands print of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from preference_center.catalogue.rules.brand_files import inline_files
from preference_center.catalogue.rules.model import Catalogue
from preference_center.core.errors import CatalogueError

file_argument = click.argument("file", type=click.File("rb"))


def read_catalogue(path: Path) -> str:
    """The catalogue at `path`, whole. Raises CatalogueError, and OSError for the file itself."""
    return complete_catalogue(path.read_bytes(), path.parent)


def complete_catalogue(raw: bytes, folder: Path) -> str:
    """A catalogue as text, with the files that it names by their path from `folder`.

    Raises CatalogueError if it is not UTF-8, or one of these files can't be read.
    """
    try:
        text = raw.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise CatalogueError([f"line {line}: not UTF-8; save the file as UTF-8"]) from error
    return inline_files(text, lambda name: (folder / name).read_bytes())


def read_text(file: BinaryIO) -> str:
    """The catalogue in the file of a command, whole. Raises CatalogueError.

    Files that standard input names are looked for in the working directory.
    """
    folder = Path() if file.name == "<stdin>" else Path(file.name).parent
    return complete_catalogue(file.read(), folder)


def print_warnings(warnings: Sequence[str]) -> None:
    """Print them to standard error."""
    for line in warnings:
        click.echo(f"warning: {line}", err=True)


@contextmanager
def exit_on_catalogue_error(name: str) -> Iterator[None]:
    """Exit with 1 on a CatalogueError, after printing all its problems."""
    try:
        yield
    except CatalogueError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        errors = _count(len(error.problems), "error")
        click.echo(f"{name} has {errors}. Nothing was applied.", err=True)
        raise click.exceptions.Exit(1) from error


def summary(catalogue: Catalogue) -> str:
    """How many brands, topics and message types it has, and its languages."""
    retired = sum(topic.retired for topic in catalogue.topics.values())
    return (
        f"{_count(len(catalogue.brands), 'brand')}, "
        f"{_count(len(catalogue.topics), 'topic')} ({retired} retired), "
        f"{_count(len(catalogue.message_types), 'message type')}, "
        f"languages {', '.join(catalogue.languages)}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
