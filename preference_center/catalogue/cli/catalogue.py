"""`flask catalogue`: check a catalogue file, and apply it as a new version."""

from __future__ import annotations

from typing import BinaryIO

import click

from preference_center.catalogue.check import check_catalogue
from preference_center.catalogue.cli.catalogue_file import (
    exit_on_catalogue_error,
    file_argument,
    print_warnings,
    read_text,
    summary,
)
from preference_center.catalogue.rules.warnings import catalogue_warnings
from preference_center.catalogue.rules.wording import PAGE_LANGUAGES
from preference_center.core.errors import quote_toml
from preference_center.infra.commands import CommandGroup, LazyCommand
from preference_center.languages import SOURCE_LANGUAGE, known_texts, load_translations

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
        checked = check_catalogue(read_text(file), known_texts())
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
