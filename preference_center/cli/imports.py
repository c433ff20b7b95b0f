"""`flask imports`: bring lists from elsewhere, after a look at what they would do."""

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
from flask.cli import AppGroup

from preference_center.atomic_files import atomic_write_text
from preference_center.cli.errors import click_bad_parameter, click_errors
from preference_center.cli.import_options import (
    explain_missing_scopes,
    file_argument,
    format_options,
    parse_instructions,
)
from preference_center.domain.imports import FileRow, ImportPreset, ImportStats, RowRefusal
from preference_center.imports.apply import apply_import, create_import
from preference_center.imports.budget import ImportBudget
from preference_center.imports.plan import ImportPlan
from preference_center.imports.plan import plan_import as make_plan
from preference_center.imports.sources import LocalFile
from preference_center.imports.throttle import Throttle
from preference_center.imports.undo import start_undo, undo_import
from preference_center.integrations.import_presets import get_preset, load_presets
from preference_center.storage.access.key_fingerprints import require_known_keys
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import run_in_transaction
from preference_center.storage.imports import import_jobs as stored
from preference_center.storage.imports.import_jobs import Import, ImportState

imports = AppGroup(
    "imports",
    help="""Lists from elsewhere: opt-outs and subscriptions of other tools.

    First `plan`, which writes nothing and says what would be new, what is there already
    and what is refused. Then `apply`, as the plan prints it. `undo` takes back exactly what
    an import added. Nothing is ever lifted by an import.
    """,
)

ACTOR = "cli"
_MAX_SHOWN = 20
_id_argument = click.argument("import_id", metavar="ID", type=click.UUID)
_no_pause_option = click.option(
    "--no-pause", is_flag=True, help="As fast as it goes: when nobody else uses the database."
)


@imports.command()
@click.argument("name", required=False)
def presets(name: str | None) -> None:
    """List the exports that can be read; with NAME, the columns of one."""
    if name is None:
        for each in load_presets().values():
            click.echo(f"{each.name:24}{each.title}")
        return
    with click_bad_parameter("NAME"):
        _print_preset(get_preset(name))


@imports.command()
@file_argument
@format_options
@click.option(
    "--refused",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write line and reason of every refusal to this CSV file.",
)
def plan(file: Path, refused: Path | None, **options: Any) -> None:
    """Look what importing FILE would do. Writes nothing.

    Example: flask imports plan groups.csv --preset sendgrid-groups
    --scope "Weekly News=newsletter.weekly"

    FILE may be packed with gzip. Ends with the command that applies exactly this.
    """
    instructions = parse_instructions(**options)
    source = LocalFile(file)
    shown: list[RowRefusal] = []
    with click_errors(), explain_missing_scopes():
        require_known_keys()
        catalogue = current_catalogue()
        with (
            _collect_refusals(refused, shown) as tell,
            _progress_bar("Reading", source.size) as bar,
        ):
            made = make_plan(source, instructions, catalogue, on_refusal=tell, on_progress=bar)
    _print_plan(made, shown, refused)
    if made.stats.total_new:
        click.echo("To import exactly this:")
        click.echo(f"flask imports apply {_command_arguments()} --plan {made.id}")
    else:
        click.echo("There is nothing to import.")


@imports.command()
@file_argument
@format_options
@click.option("--plan", "plan_name", required=True, help="As `flask imports plan` printed it.")
@_no_pause_option
def apply(file: Path, plan_name: str, *, no_pause: bool, **options: Any) -> None:
    """Import FILE as it was planned.

    Goes in chunks, with pauses that leave the database to people who click. Ctrl-C or a
    crash leaves what is done: `flask imports resume` goes on, `flask imports undo` takes it
    back. Refuses a file or options that are not those of the plan.
    """
    instructions = parse_instructions(**options)
    source = LocalFile(file)
    with click_errors():
        require_known_keys()
        instructions.scopes.validate(current_catalogue())
        import_id = create_import(
            source, instructions, name=file.name, actor=ACTOR, plan_id=plan_name
        )
    click.echo(f"Import {import_id}", err=True)
    _continue_import(import_id, source, no_pause=no_pause)


@imports.command()
@_id_argument
@file_argument
@_no_pause_option
def resume(import_id: UUID, file: Path, *, no_pause: bool) -> None:
    """Go on with import ID of FILE where it stopped.

    Nothing is lost and nothing doubled. A process that is still at work on it is put out.
    Refuses a FILE that has changed since.
    """
    with click_errors():
        require_known_keys()
    _continue_import(import_id, LocalFile(file), no_pause=no_pause)


@imports.command()
@_id_argument
@_no_pause_option
def undo(import_id: UUID, *, no_pause: bool) -> None:
    """Take back exactly what import ID added.

    What people did since stands, and so does what others recorded. An import that is still
    being applied is stopped. After a crash, run it again: it goes on.
    """
    with click_errors():
        require_known_keys()
        found = start_undo(import_id, ACTOR)
        left = ImportStats.from_json(found.stats).total_new - found.undone_count
        with click.progressbar(length=left, label="Undoing", file=sys.stderr) as bar:
            work = ImportBudget(
                throttle=Throttle(chunk_size=100),
                on_undone=bar.update,
                **_throttle_options(no_pause),
            )
            done = undo_import(import_id, work, ACTOR, ignore_lease=True)
    click.echo(f"Undone: {done.undone_count:,} events of import {import_id} were taken back.")


@imports.command()
@_id_argument
def status(import_id: UUID) -> None:
    """Show how far import ID has come, and its figures."""
    with click_errors():
        found = run_in_transaction(lambda connection: stored.get_import(connection, import_id))
    click.echo(_format_import(found))
    if found.problem:
        click.echo(found.problem)
    if found.stats:
        for line in ImportStats.from_json(found.stats).report_lines():
            click.echo(line)
    if found.undone_count:
        click.echo(f"{found.undone_count:>12,}  taken back")
    if found.state is ImportState.APPLYING and not found.file_stored:
        click.echo(f"If it stopped: flask imports resume {found.id} FILE")


@imports.command("list")
def list_() -> None:
    """List all imports, the newest first."""
    with click_errors():
        every = run_in_transaction(stored.list_imports)
    for found in every:
        click.echo(_format_import(found))
    if not every:
        click.echo("Nothing was imported yet: begin with `flask imports plan --help`.", err=True)


def _continue_import(import_id: UUID, source: LocalFile, *, no_pause: bool) -> None:
    with click_errors():
        found = run_in_transaction(lambda connection: stored.get_import(connection, import_id))
        with _progress_bar("Importing", source.size, found.bytes_done) as bar:
            work = ImportBudget(on_progress=bar, **_throttle_options(no_pause))
            try:
                done = apply_import(import_id, source, work, ignore_lease=True)
            except KeyboardInterrupt:
                click.echo("\nStopped. To go on:", err=True)
                click.echo(f"flask imports resume {import_id} FILE", err=True)
                raise
    for line in ImportStats.from_json(done.stats).report_lines():
        click.echo(line)
    click.echo(f"Imported. To take it back: flask imports undo {import_id}")


def _throttle_options(no_pause: bool) -> dict[str, Any]:  # noqa: FBT001 - the flag as it was typed
    return {"sleep": lambda _: None} if no_pause else {}


@contextmanager
def _progress_bar(label: str, size: int, done: int = 0) -> Iterator[Callable[[FileRow], None]]:
    with click.progressbar(length=size, label=label, file=sys.stderr) as bar:
        reached = min(done, size)
        bar.update(reached)

        def progress(last: FileRow) -> None:
            nonlocal reached
            # A packed file is longer inside.
            end = max(reached, min(last.end_offset, size))
            bar.update(end - reached)
            reached = end

        yield progress
        bar.update(size - reached)


@contextmanager
def _collect_refusals(
    path: Path | None, shown: list[RowRefusal]
) -> Iterator[Callable[[RowRefusal], None]]:
    """Keeps the first ones; with `path` writes all of them there."""

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


def _print_plan(made: ImportPlan, shown: list[RowRefusal], path: Path | None) -> None:
    for line in made.stats.report_lines():
        click.echo(line)
    for refusal in shown:
        click.echo(f"refused: line {refusal.line}: {refusal.reason}", err=True)
    more = made.stats.refused - len(shown)
    if more and not path:
        click.echo(f"and {more:,} more: --refused refused.csv writes them all", err=True)
    for group in made.unused_groups:
        click.echo(f'The scope map names "{group}", which the file does not have.', err=True)
    click.echo("This was a dry run: nothing was written.")


def _command_arguments() -> str:
    """The arguments that this command got, for `apply`: all but where to write refusals."""
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


def _print_preset(one: ImportPreset) -> None:
    click.echo(f"{one.title}\n{one.docs_url}")
    click.echo(f"address: {' or '.join(one.address_columns)}")
    for columns in one.required_columns:
        click.echo(f"needs: {' or '.join(columns)}")
    for says in one.meanings:
        group = (
            (says.group_column_prefix and f"{says.group_column_prefix} ...")
            or " or ".join(says.group_columns)
            or says.default_group
        )
        if says.other_columns_are_groups:
            group = "the name of each other column"
        when = " and ".join(
            f"{' or '.join(w.columns)} {'is not' if w.negated else 'is'}"
            f" {'|'.join(w.prefixes) or 'filled'}"
            for w in says.conditions
        )
        click.echo(
            f"{says.meaning}: group {group or '(none needed)'}"
            + (f", dated by {' or '.join(says.date_columns)}" if says.date_columns else ", undated")
            + (f", when {when}" if when else "")
        )
    for column, other in one.excluded_columns.items():
        click.echo(f"a file with a column {column} is one for {other}")


def _format_import(stored_import: Import) -> str:
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
