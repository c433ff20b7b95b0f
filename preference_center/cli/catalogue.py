"""`flask catalogue`: check a catalogue file, and apply it as a new version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from preference_center.catalogue_versions import (
    CatalogueReview,
    apply_catalogue,
    check_catalogue,
    review_catalogue,
)
from preference_center.cli.actor import actor
from preference_center.cli.catalogue_file import complete_catalogue
from preference_center.cli.command_app import CommandGroup
from preference_center.cli.errors import click_errors
from preference_center.domain.catalogue import PAGE_LANGUAGES, Catalogue, catalogue_warnings
from preference_center.domain.catalogue.reader import quote_toml
from preference_center.errors import CatalogueError
from preference_center.languages import SOURCE_LANGUAGE, known_texts, load_translations
from preference_center.storage import catalogues
from preference_center.storage.db.database import transaction

catalogue = CommandGroup(
    "catalogue", help="Check and apply the catalogue of brands, topics and message types."
)

_file_argument = click.argument("file", type=click.File("rb"))


@catalogue.command(with_service=False)
@_file_argument
def check(file: BinaryIO) -> None:
    """Check FILE ("-": standard input) without touching the database.

    Needs no settings, so it can run in CI.

    Exits with 1 if the file has errors, and prints each with its line and remedy.
    """
    with _exit_on_catalogue_error(file.name):
        checked = check_catalogue(_read_text(file))
    _print_warnings(catalogue_warnings(checked))
    click.echo(f"{file.name} is valid: {_summary(checked)}.")
    click.echo(f"To apply it: flask catalogue apply {file.name}")


@catalogue.command()
@_file_argument
@click.option("--dry-run", is_flag=True, help="Print the difference and change nothing.")
def apply(file: BinaryIO, *, dry_run: bool) -> None:
    """Apply FILE ("-": standard input) and store it as a new version.

    Prints the changes from the current version. Applying the same file again does nothing. Exits
    with 1, and changes nothing, if the file has errors or a change would lift an opt-out.
    """
    with _exit_on_catalogue_error(file.name):
        text = _read_text(file)
        check_catalogue(text)
    with click_errors(), transaction() as connection:
        if dry_run:
            review, version = review_catalogue(connection, text), None
        else:
            review, version = apply_catalogue(connection, text, actor())
    if review.is_current:
        click.echo("Nothing to do: this is the current version.")
        return
    _print_review(review)
    if dry_run:
        click.echo("Dry run: nothing was applied.")
    if version is not None:
        catalogues.clear_catalogue_cache()
        click.echo(f"Applied as version {version}: {_summary(review.new)}.")


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


def _print_review(review: CatalogueReview) -> None:
    for line in review.changes:
        click.echo(line)
    _print_warnings(review.warnings)
    for line in review.effects:
        click.echo(line)
    if review.refused:
        for line in review.refused:
            click.echo(f"refused: {line}", err=True)
        click.echo("Nothing was applied.", err=True)
        raise click.exceptions.Exit(1)


def _print_warnings(warnings: Sequence[str]) -> None:
    for line in warnings:
        click.echo(f"warning: {line}", err=True)


def _read_text(file: BinaryIO) -> str:
    """Files that standard input names are looked for in the working directory."""
    folder = Path() if file.name == "<stdin>" else Path(file.name).parent
    return complete_catalogue(file.read(), folder)


@contextmanager
def _exit_on_catalogue_error(name: str) -> Iterator[None]:
    """Exit with 1 on a CatalogueError, after printing all its problems."""
    try:
        yield
    except CatalogueError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        errors = _count(len(error.problems), "error")
        click.echo(f"{name} has {errors}. Nothing was applied.", err=True)
        raise click.exceptions.Exit(1) from error


def _summary(catalogue: Catalogue) -> str:
    retired = sum(topic.retired for topic in catalogue.topics.values())
    return (
        f"{_count(len(catalogue.brands), 'brand')}, "
        f"{_count(len(catalogue.topics), 'topic')} ({retired} retired), "
        f"{_count(len(catalogue.message_types), 'message type')}, "
        f"languages {', '.join(catalogue.languages)}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
