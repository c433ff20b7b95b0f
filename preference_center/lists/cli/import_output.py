"""What `flask imports` prints: progress, refusals, a plan, a preset, an import."""

from __future__ import annotations

import csv
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click

from preference_center.infra.files import atomic_write_text
from preference_center.integrations.base.presets import ImportPreset
from preference_center.lists.imports.plan import ImportPlan
from preference_center.lists.rules.row_statements import FileRow
from preference_center.lists.rules.stats import ImportStats
from preference_center.lists.rules.translator import RowRefusal
from preference_center.lists.store.import_jobs import Import

_MAX_SHOWN = 20


@contextmanager
def progress_bar(label: str, size: int, done: int = 0) -> Iterator[Callable[[FileRow], None]]:
    """A bar of a file of `size` bytes; call what it yields with the last row that was read."""
    with click.progressbar(length=size, label=label, file=sys.stderr) as bar:
        reached = min(done, size)
        bar.update(reached)

        def progress(last: FileRow) -> None:
            nonlocal reached
            # The content of a gzipped file is longer than the file.
            end = max(reached, min(last.end_offset, size))
            bar.update(end - reached)
            reached = end

        yield progress
        bar.update(size - reached)


@contextmanager
def collect_refusals(
    path: Path | None, shown: list[RowRefusal]
) -> Iterator[Callable[[RowRefusal], None]]:
    """Keep the first refusals; with `path` also write all of them there."""

    def show(refusal: RowRefusal) -> None:
        if len(shown) < _MAX_SHOWN:
            shown.append(refusal)

    if path is None:
        yield show
        return
    with atomic_write_text(path) as file:
        writer = csv.writer(file)
        writer.writerow(("line", "reason"))

        def write(refusal: RowRefusal) -> None:
            show(refusal)
            writer.writerow((refusal.line, refusal.reason))

        yield write


def print_plan(made: ImportPlan, shown: list[RowRefusal], path: Path | None) -> None:
    """Counts, the first refusals, and what may be wrong with the options."""
    for line in made.stats.report_lines():
        click.echo(line)
    for refusal in shown:
        click.echo(f"refused: line {refusal.line}: {refusal.reason}", err=True)
    more = made.stats.refused - len(shown)
    if more and not path:
        click.echo(f"and {more:,} more: --refused refused.csv writes all of them", err=True)
    for group in made.unused_groups:
        click.echo(f'The scope map has the group "{group}", which is not in the file.', err=True)
    if made.unread_columns:
        names = ", ".join(made.unread_columns[:_MAX_SHOWN])
        date = " If one has the date of the opt-outs, name it: --date-column"
        click.echo(f"Not read: {names}.{date if made.stats.undated else ''}", err=True)
    click.echo("This was a dry run: nothing was written.")


def command_arguments() -> str:
    """The arguments of this command for `apply`: all except --refused."""
    context = click.get_current_context()
    words = [str(context.params["file"])]
    for option in context.command.params:
        value = context.params.get(option.name or "")
        if not isinstance(option, click.Option) or option.name == "refused" or not value:
            continue
        for each in value if option.multiple else (value,):
            if each != option.default:
                word = each.isoformat() if isinstance(each, datetime) else str(each)
                words += [option.opts[0], word]
    return shlex.join(words)


def print_preset(one: ImportPreset) -> None:
    """The columns of a format, and what they mean."""
    click.echo(f"{one.title}\n{one.docs_url}")
    click.echo(f"address: {' or '.join(one.address_columns)}")
    for columns in one.required_columns:
        click.echo(f"needs: {' or '.join(columns)}")
    for statement in one.meanings:
        group = (
            (statement.group_column_prefix and f"{statement.group_column_prefix} ...")
            or " or ".join(statement.group_columns)
            or statement.default_group
        )
        if statement.other_columns_are_groups:
            group = "the name of each other column"
        when = " and ".join(
            f"{' or '.join(w.columns)} {'is not' if w.negated else 'is'}"
            f" {'|'.join(w.prefixes) or 'filled'}"
            for w in statement.conditions
        )
        click.echo(
            f"{statement.meaning}: group {group or '(none needed)'}"
            + (
                f", dated by {' or '.join(statement.date_columns)}"
                if statement.date_columns
                else ", undated"
            )
            + (f", when {when}" if when else "")
        )
    for other in dict.fromkeys(one.excluded_columns.values()):
        names = [name for name, preset in one.excluded_columns.items() if preset == other]
        click.echo(f"a file with a column {' or '.join(names)} is one for {other}")


def format_import(stored_import: Import) -> str:
    """One line about an import."""
    new = ImportStats.from_json(stored_import.stats).total_new
    return "\t".join(
        (
            str(stored_import.id),
            stored_import.state,
            f"{stored_import.created_at:%Y-%m-%d %H:%M} UTC",
            stored_import.instructions["preset"],
            stored_import.name or "(uploaded)",
            f"{stored_import.position:,} rows, {new:,} new",
            stored_import.actor,
        )
    )
