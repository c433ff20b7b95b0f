"""`flask imports` imports lists from other tools, after a preview of the result."""

from __future__ import annotations

import csv
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from preference_center.catalogue.store import current_catalogue
from preference_center.core.errors import Unavailable
from preference_center.infra.commands import CommandGroup, actor, click_bad_parameter, click_errors
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.files import atomic_write_text
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.integrations.base.presets import ImportPreset
from preference_center.integrations.registry import get_preset, load_presets
from preference_center.lists import store
from preference_center.lists.cli.import_options import (
    explain_missing_scopes,
    file_argument,
    format_options,
    parse_instructions,
)
from preference_center.lists.imports.apply import (
    ImportBudget,
    Throttle,
    apply_import,
    create_import,
    start_undo,
    undo_import,
)
from preference_center.lists.imports.plan import ImportPlan
from preference_center.lists.imports.plan import plan_import as make_plan
from preference_center.lists.imports.sources import LocalFile
from preference_center.lists.rules.instructions import ImportStats
from preference_center.lists.rules.rows import FileRow
from preference_center.lists.rules.translator import RowRefusal
from preference_center.lists.store import Import, ImportState

_MAX_SHOWN = 20
_PATIENCE = 600.0
"""Seconds for which a chunk waits for an unavailable database; after them `resume` continues."""


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
            ", ".join(f"... {word} ..." for word in statement.group_column_words)
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


imports = CommandGroup(
    "imports",
    help="""Import opt-outs and subscriptions of other tools.

    First run `plan`, which writes nothing and shows what would be new, what is already present
    and what is refused. Then run `apply`, as the plan prints it. `undo` retracts exactly what an
    import added. An import never lifts an opt-out.
    """,
)


_id_argument = click.argument("import_id", metavar="ID", type=click.UUID)


_no_pause_option = click.option(
    "--no-pause", is_flag=True, help="No pauses between chunks: for a database without other users."
)


@imports.command()
@click.argument("name", required=False)
def presets(name: str | None) -> None:
    """List the supported formats; with NAME, the columns of one."""
    if name is None:
        for each in load_presets().values():
            click.echo(f"{each.name:24}{each.title}")
        return
    with click_bad_parameter("NAME"):
        print_preset(get_preset(name))


@imports.command()
@file_argument
@format_options
@click.option(
    "--refused",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write line and reason of every refusal to this CSV file.",
)
def plan(file: Path, refused: Path | None, **options: Any) -> None:
    """Preview the import of FILE. Writes nothing.

    Example: flask imports plan groups.csv --preset sendgrid-groups
    --scope "Weekly News=newsletter.weekly"

    FILE may be gzipped. The last line of the output is the command that applies this plan.
    """
    instructions = parse_instructions(**options)
    source = LocalFile(file)
    shown: list[RowRefusal] = []
    with click_errors(), explain_missing_scopes():
        require_known_keys()
        catalogue = current_catalogue()
        with (
            collect_refusals(refused, shown) as on_refusal,
            progress_bar("Reading", source.size) as bar,
        ):
            made = make_plan(
                source, instructions, catalogue, on_refusal=on_refusal, on_progress=bar
            )
    print_plan(made, shown, refused)
    if made.stats.total_new:
        click.echo("To import exactly this:")
        click.echo(f"flask imports apply {command_arguments()} --plan {made.id}")
    else:
        click.echo("There is nothing to import.")


@imports.command()
@file_argument
@format_options
@click.option(
    "--plan", "plan_name", required=True, help="The plan id that `flask imports plan` printed."
)
@_no_pause_option
def apply(file: Path, plan_name: str, *, no_pause: bool, **options: Any) -> None:
    """Import FILE as planned.

    Runs in chunks, with pauses so that the database stays responsive for recipients. After Ctrl-C
    or a crash, `flask imports resume` continues it and `flask imports undo` retracts it. Rejects a
    file or options that differ from those of the plan.
    """
    instructions = parse_instructions(**options)
    source = LocalFile(file)
    with click_errors():
        require_known_keys()
        instructions.scopes.validate(current_catalogue())
        import_id = create_import(
            source, instructions, name=file.name, actor=actor(), plan_id=plan_name
        )
    click.echo(f"Import {import_id}", err=True)
    _continue_import(import_id, source, no_pause=no_pause)


@imports.command()
@_id_argument
@file_argument
@_no_pause_option
def resume(import_id: UUID, file: Path, *, no_pause: bool) -> None:
    """Continue import ID of FILE where it stopped.

    Nothing is lost or duplicated. A process that is still working on it is stopped. Rejects a
    FILE that has changed.
    """
    with click_errors():
        require_known_keys()
    _continue_import(import_id, LocalFile(file), no_pause=no_pause)


@imports.command()
@_id_argument
@_no_pause_option
def undo(import_id: UUID, *, no_pause: bool) -> None:
    """Retract exactly what import ID added.

    Later events of the same people are kept, and so are other records. An import that is still
    being applied is stopped. After a crash, run it again: it continues.
    """
    with click_errors():
        require_known_keys()
        found = start_undo(import_id, actor())
        left = ImportStats.from_json(found.stats).total_new - found.undone_count
        with click.progressbar(length=left, label="Undoing", file=sys.stderr) as bar:
            work = ImportBudget(
                patience=_PATIENCE,
                throttle=Throttle(chunk_size=100),
                on_undone=bar.update,
                **_throttle_options(no_pause),
            )
            done = undo_import(import_id, work, actor(), ignore_lease=True)
    click.echo(f"Undone: {done.undone_count:,} events of import {import_id} were retracted.")


@imports.command()
@_id_argument
def status(import_id: UUID) -> None:
    """Show the progress of import ID, and its counts."""
    with click_errors():
        found = run_in_transaction(lambda connection: store.get_import(connection, import_id))
    click.echo(format_import(found))
    if found.problem:
        click.echo(found.problem)
    if found.stats:
        for line in ImportStats.from_json(found.stats).report_lines():
            click.echo(line)
    if found.undone_count:
        click.echo(f"{found.undone_count:>12,}  retracted")
    if found.state is ImportState.APPLYING and not found.file_stored:
        click.echo(f"If it stopped: flask imports resume {found.id} FILE")


@imports.command("list")
def list_() -> None:
    """List all imports, the newest first."""
    with click_errors():
        every = run_in_transaction(store.list_imports)
    for found in every:
        click.echo(format_import(found))
    if not every:
        click.echo("No imports yet: start with `flask imports plan --help`.", err=True)


def _continue_import(import_id: UUID, source: LocalFile, *, no_pause: bool) -> None:
    with click_errors():
        found = run_in_transaction(lambda connection: store.get_import(connection, import_id))
        with progress_bar("Importing", source.size, found.bytes_done) as bar:
            work = ImportBudget(patience=_PATIENCE, on_progress=bar, **_throttle_options(no_pause))
            try:
                done = apply_import(import_id, source, work, ignore_lease=True)
            except (KeyboardInterrupt, Unavailable):
                click.echo("\nStopped. To continue:", err=True)
                click.echo(f"flask imports resume {import_id} FILE", err=True)
                raise
    for line in ImportStats.from_json(done.stats).report_lines():
        click.echo(line)
    click.echo(f"Imported. To retract it: flask imports undo {import_id}")


def _throttle_options(no_pause: bool) -> dict[str, Any]:  # noqa: FBT001 - the flag as it was typed
    return {"sleep": lambda _: None} if no_pause else {}
