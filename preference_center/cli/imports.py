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

from preference_center.atomic_files import appearing_text
from preference_center.cli.errors import mending, mending_argument
from preference_center.cli.import_options import (
    FILE,
    instructions_of,
    reading_options,
    showing_scope_map,
)
from preference_center.domain.imports import Preset, Record, Refusal, Tally
from preference_center.imports.apply import apply as apply_import
from preference_center.imports.apply import begin
from preference_center.imports.budget import Work
from preference_center.imports.plan import Plan
from preference_center.imports.plan import plan as make_plan
from preference_center.imports.sources import LocalFile
from preference_center.imports.throttle import Pace
from preference_center.imports.undo import begin_undo
from preference_center.imports.undo import undo as undo_import
from preference_center.integrations.import_presets import PRESETS, preset
from preference_center.storage.access.key_fingerprints import require_known_keys
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import run
from preference_center.storage.imports import import_jobs as stored
from preference_center.storage.imports.import_jobs import Import, State

imports = AppGroup(
    "imports",
    help="""Lists from elsewhere: opt-outs and subscriptions of other tools.

    First `plan`, which writes nothing and says what would be new, what is there already
    and what is refused. Then `apply`, as the plan prints it. `undo` takes back exactly what
    an import added. Nothing is ever lifted by an import.
    """,
)

ACTOR = "cli"
_SHOWN = 20
_ID = click.argument("import_id", metavar="ID", type=click.UUID)
_NO_PAUSE = click.option(
    "--no-pause", is_flag=True, help="As fast as it goes: when nobody else uses the database."
)


@imports.command()
@click.argument("name", required=False)
def presets(name: str | None) -> None:
    """List the exports that can be read; with NAME, the columns of one."""
    if name is None:
        for each in PRESETS.values():
            click.echo(f"{each.name:24}{each.title}")
        return
    with mending_argument("NAME"):
        _describe(preset(name))


@imports.command()
@FILE
@reading_options
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
    instructions = instructions_of(**options)
    source = LocalFile(file)
    shown: list[Refusal] = []
    with mending(), showing_scope_map():
        require_known_keys()
        catalogue = current_catalogue()
        with _refusals(refused, shown) as tell, _bar("Reading", source.octets) as bar:
            made = make_plan(source, instructions, catalogue, refused=tell, progress=bar)
    _tell_plan(made, shown, refused)
    if made.tally.total_new:
        click.echo("To import exactly this:")
        click.echo(f"flask imports apply {_typed()} --plan {made.name}")
    else:
        click.echo("There is nothing to import.")


@imports.command()
@FILE
@reading_options
@click.option("--plan", "plan_name", required=True, help="As `flask imports plan` printed it.")
@_NO_PAUSE
def apply(file: Path, plan_name: str, *, no_pause: bool, **options: Any) -> None:
    """Import FILE as it was planned.

    Goes in chunks, with pauses that leave the database to people who click. Ctrl-C or a
    crash leaves what is done: `flask imports resume` goes on, `flask imports undo` takes it
    back. Refuses a file or options that are not those of the plan.
    """
    instructions = instructions_of(**options)
    source = LocalFile(file)
    with mending():
        require_known_keys()
        instructions.scopes.check(current_catalogue())
        import_id = begin(source, instructions, name=file.name, actor=ACTOR, plan=plan_name)
    click.echo(f"Import {import_id}", err=True)
    _go_on(import_id, source, no_pause=no_pause)


@imports.command()
@_ID
@FILE
@_NO_PAUSE
def resume(import_id: UUID, file: Path, *, no_pause: bool) -> None:
    """Go on with import ID of FILE where it stopped.

    Nothing is lost and nothing doubled. A process that is still at work on it is put out.
    Refuses a FILE that has changed since.
    """
    with mending():
        require_known_keys()
    _go_on(import_id, LocalFile(file), no_pause=no_pause)


@imports.command()
@_ID
@_NO_PAUSE
def undo(import_id: UUID, *, no_pause: bool) -> None:
    """Take back exactly what import ID added.

    What people did since stands, and so does what others recorded. An import that is still
    being applied is stopped. After a crash, run it again: it goes on.
    """
    with mending():
        require_known_keys()
        found = begin_undo(import_id, ACTOR)
        left = Tally.from_json(found.tally).total_new - found.undone
        with click.progressbar(length=left, label="Undoing", file=sys.stderr) as bar:
            work = Work(pace=Pace(size=100), undone=bar.update, **_pauses(no_pause))
            done = undo_import(import_id, work, ACTOR, even_if_held=True)
    click.echo(f"Undone: {done.undone:,} events of import {import_id} were taken back.")


@imports.command()
@_ID
def status(import_id: UUID) -> None:
    """Show how far import ID has come, and its figures."""
    with mending():
        found = run(lambda connection: stored.by_id(connection, import_id))
    click.echo(_line(found))
    if found.problem:
        click.echo(found.problem)
    if found.tally:
        for line in Tally.from_json(found.tally).lines():
            click.echo(line)
    if found.undone:
        click.echo(f"{found.undone:>12,}  taken back")
    if found.state is State.APPLYING and not found.spooled:
        click.echo(f"If it stopped: flask imports resume {found.id} FILE")


@imports.command("list")
def list_() -> None:
    """List all imports, the newest first."""
    with mending():
        every = run(stored.every)
    for found in every:
        click.echo(_line(found))
    if not every:
        click.echo("Nothing was imported yet: begin with `flask imports plan --help`.", err=True)


def _go_on(import_id: UUID, source: LocalFile, *, no_pause: bool) -> None:
    with mending():
        found = run(lambda connection: stored.by_id(connection, import_id))
        with _bar("Importing", source.octets, found.octets_done) as bar:
            work = Work(progress=bar, **_pauses(no_pause))
            try:
                done = apply_import(import_id, source, work, even_if_held=True)
            except KeyboardInterrupt:
                click.echo("\nStopped. To go on:", err=True)
                click.echo(f"flask imports resume {import_id} FILE", err=True)
                raise
    for line in Tally.from_json(done.tally).lines():
        click.echo(line)
    click.echo(f"Imported. To take it back: flask imports undo {import_id}")


def _pauses(no_pause: bool) -> dict[str, Any]:  # noqa: FBT001 - the flag as it was typed
    return {"pause": lambda _: None} if no_pause else {}


@contextmanager
def _bar(label: str, octets: int, done: int = 0) -> Iterator[Callable[[Record], None]]:
    with click.progressbar(length=octets, label=label, file=sys.stderr) as bar:
        reached = min(done, octets)
        bar.update(reached)

        def progress(last: Record) -> None:
            nonlocal reached
            # A packed file is longer inside.
            end = max(reached, min(last.end, octets))
            bar.update(end - reached)
            reached = end

        yield progress
        bar.update(octets - reached)


@contextmanager
def _refusals(path: Path | None, shown: list[Refusal]) -> Iterator[Callable[[Refusal], None]]:
    """Keeps the first ones; with `path` writes all of them there."""

    def keep(refusal: Refusal) -> None:
        if len(shown) < _SHOWN:
            shown.append(refusal)

    if path is None:
        yield keep
        return
    with appearing_text(path) as file:
        writer = csv.writer(file)
        writer.writerow(("line", "reason"))

        def write(refusal: Refusal) -> None:
            keep(refusal)
            writer.writerow((refusal.line, refusal.reason))

        yield write


def _tell_plan(made: Plan, shown: list[Refusal], path: Path | None) -> None:
    for line in made.tally.lines():
        click.echo(line)
    for refusal in shown:
        click.echo(f"refused: line {refusal.line}: {refusal.reason}", err=True)
    more = made.tally.refused - len(shown)
    if more and not path:
        click.echo(f"and {more:,} more: --refused refused.csv writes them all", err=True)
    for group in made.unused:
        click.echo(f'The scope map names "{group}", which the file does not have.', err=True)
    click.echo("This was a dry run: nothing was written.")


def _typed() -> str:
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


def _describe(one: Preset) -> None:
    click.echo(f"{one.title}\n{one.page}")
    click.echo(f"address: {' or '.join(one.address)}")
    for columns in one.needs:
        click.echo(f"needs: {' or '.join(columns)}")
    for says in one.says:
        group = (says.prefix and f"{says.prefix} ...") or " or ".join(says.by) or says.group
        if says.rest:
            group = "the name of each other column"
        when = " and ".join(
            f"{' or '.join(w.column)} {'is not' if w.negated else 'is'}"
            f" {'|'.join(w.values) or 'filled'}"
            for w in says.when
        )
        click.echo(
            f"{says.meaning}: group {group or '(none needed)'}"
            + (f", dated by {' or '.join(says.at)}" if says.at else ", undated")
            + (f", when {when}" if when else "")
        )
    for column, other in one.lacks.items():
        click.echo(f"a file with a column {column} is one for {other}")


def _line(found: Import) -> str:
    new = Tally.from_json(found.tally).total_new
    return "\t".join(
        (
            str(found.id),
            found.state,
            f"{found.created_at:%Y-%m-%d %H:%M} UTC",
            found.instructions["preset"],
            found.name or "(uploaded)",
            f"{found.position:,} rows, {new:,} new",
            found.actor,
        )
    )
