"""`flask catalogue`: check, preview and apply a catalogue with the files that it names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from preference_center.catalogue.rules.brand import inline_files
from preference_center.catalogue.rules.deliverability import catalogue_warnings
from preference_center.catalogue.rules.model import Catalogue
from preference_center.catalogue.rules.parser import parse_catalogue
from preference_center.catalogue.rules.wording import PAGE_LANGUAGES
from preference_center.core.errors import CatalogueError, quote_toml
from preference_center.infra.commands import CommandGroup, LazyCommand
from preference_center.web.languages import SOURCE_LANGUAGE, known_texts, load_translations

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


catalogue = CommandGroup(
    "catalogue", help="Check and apply the catalogue of brands, topics and message types."
)


# The only command here that needs the database, whose modules take a second to import.
catalogue.add_command(
    LazyCommand(
        "apply",
        "preference_center.catalogue.cli.apply:apply",
        'Apply FILE ("-": standard input) and store it as a new version.',
    )
)


@catalogue.command(with_service=False)
@file_argument
def check(file: BinaryIO) -> None:
    """Check FILE ("-": standard input) without touching the database.

    Needs no settings, so it can run in CI.

    Exits with 1 if the file has errors, and prints each with its line and remedy.
    """
    with exit_on_catalogue_error(file.name):
        checked = parse_catalogue(read_text(file), known_texts())
    print_warnings(catalogue_warnings(checked))
    click.echo(f"{file.name} is valid: {summary(checked)}.")
    click.echo(f"To apply it: flask catalogue apply {file.name}")


@catalogue.command(with_service=False)
@click.argument("word", required=False, default="")
@click.option(
    "--language",
    type=click.Choice(PAGE_LANGUAGES),
    default=SOURCE_LANGUAGE,
    show_default=True,
    help="The language of the texts; the keys are English.",
)
@click.option("--informal", is_flag=True, help="Address people informally.")
def texts(word: str, language: str, *, informal: bool) -> None:
    """List the texts of pages and emails that a brand can replace.

    With WORD only those that have it in the key or in the text. Each line is `"key" = "text"`, to
    be changed in a table [brands.KEY.texts.LANGUAGE] of the catalogue. What stands as %(name)s, and
    tags, must be kept. Exits with 1 if there is none.
    """
    translations = load_translations(language, informal=informal)
    found = [
        (key, text)
        for key, text in ((key, translations.gettext(key)) for key in sorted(known_texts()))
        if word.casefold() in f"{key}\n{text}".casefold()
    ]
    for key, text in found:
        click.echo(f"{quote_toml(key)} = {quote_toml(text)}")
    if not found:
        raise click.ClickException(f"No text has {quote_toml(word)}; try a shorter word.")
