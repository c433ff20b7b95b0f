"""`flask catalogue apply`: apply a catalogue file as a new version."""

from __future__ import annotations

from typing import BinaryIO

import click

from preference_center.catalogue import store as catalogues
from preference_center.catalogue.apply import CatalogueReview, apply_catalogue, review_catalogue
from preference_center.catalogue.cli import (
    exit_on_catalogue_error,
    file_argument,
    print_warnings,
    read_text,
    summary,
)
from preference_center.catalogue.rules.parser import parse_catalogue
from preference_center.infra.commands import actor, click_errors, with_service
from preference_center.infra.db.transactions import transaction
from preference_center.web.languages import known_texts


@click.command()
@file_argument
@click.option("--dry-run", is_flag=True, help="Print the difference and change nothing.")
@with_service
def apply(file: BinaryIO, *, dry_run: bool) -> None:
    """Apply FILE ("-": standard input) and store it as a new version.

    Prints the changes from the current version. Applying the same file again does nothing. Exits
    with 1, and changes nothing, if the file has errors or a change would lift an opt-out.
    """
    with exit_on_catalogue_error(file.name):
        text = read_text(file)
        parse_catalogue(text, known_texts())
    with click_errors(), transaction() as connection:
        if dry_run:
            review, version = review_catalogue(connection, text, known_texts()), None
        else:
            review, version = apply_catalogue(connection, text, known_texts(), actor())
    if review.is_current:
        click.echo("Nothing to do: this is the current version.")
        return
    _print_review(review)
    if dry_run:
        click.echo("Dry run: nothing was applied.")
    if version is not None:
        catalogues.clear_catalogue_cache()
        click.echo(f"Applied as version {version}: {summary(review.new)}.")


def _print_review(review: CatalogueReview) -> None:
    for line in review.changes:
        click.echo(line)
    print_warnings(review.warnings)
    for line in review.effects:
        click.echo(line)
    if review.refused:
        for line in review.refused:
            click.echo(f"refused: {line}", err=True)
        click.echo("Nothing was applied.", err=True)
        raise click.exceptions.Exit(1)
