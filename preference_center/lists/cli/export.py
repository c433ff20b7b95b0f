"""`flask export`: opt-outs and subscriptions in the import format of another tool."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click

from preference_center.catalogue.store import current_catalogue
from preference_center.core.errors import InvalidInput
from preference_center.core.tabular import is_spreadsheet_formula
from preference_center.destinations.store.destinations import get_by_name
from preference_center.infra import audit
from preference_center.infra.commands import actor, click_bad_parameter, click_errors, with_service
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.files import atomic_write_text
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.ledger.store import suppressions
from preference_center.lists.export import ExportRow, ExportSnapshot, open_export_snapshot
from preference_center.lists.rules.export_formats import (
    ExportFile,
    ExportFormat,
    check_scopes,
    default_scopes,
    export_files,
    scopes_of_destination,
)

CSV_COLUMNS = (
    "address", "channel", "status", "scope", "occurred_at", "received_at", "until", "reason",
    "source", "wording", "language", "legal_basis", "event", "frequency",
)  # fmt: skip


@dataclass(slots=True)
class ExportStats:
    """Counts of what was written, for the output and the audit log."""

    rows: Counter[str] = field(default_factory=Counter)
    """Rows by file."""
    unreadable: int = 0
    formulas: int = 0

    def count_address(self, text: str | None) -> str | None:
        """`text` itself; counted if it is None, or if a spreadsheet would treat it as a formula."""
        self.unreadable += text is None
        self.formulas += text is not None and is_spreadsheet_formula(text)
        return text


@click.command("export")
@click.option(
    "--for",
    "tool",
    type=click.Choice([tool.value for tool in ExportFormat]),
    required=True,
    help="The format. csv is our own: everything in one file, which `flask imports` reads.",
)
@click.option(
    "--scope",
    "--topic",
    "scopes",
    multiple=True,
    help="A topic of the catalogue, all_marketing, or for csv sharing; repeatable. Default: for"
    " sendgrid and mailchimp every topic sent by email, for hubspot all_marketing, for csv"
    " everything.",
)
@click.option(
    "--destination",
    metavar="NAME",
    help="The destination whose topics to export, and whose groups give the file names.",
)
@click.option(
    "--subscriptions",
    is_flag=True,
    help="Include subscriptions with their evidence, and chosen frequencies; csv only.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    required=True,
    help="A file for csv; a new or empty folder for a tool's files.",
)
@with_service
def export(
    tool: str,
    scopes: tuple[str, ...],
    destination: str | None,
    subscriptions: bool,  # noqa: FBT001 - a flag of click's
    output: Path,
) -> None:
    """Write all suppressed addresses, in the format that another tool imports.

    Files for a tool contain the addresses that a decision would deny the topic now, including
    pauses and bounces; the output lists where to upload each. The csv contains every active
    suppression. Addresses of which only a digest is stored can't be written, only counted.

    The files appear under their names when they are complete. They contain addresses: protect
    them. docs/leaving.md has the steps for leaving a tool, or this service.

    Example: flask export --for sendgrid --destination newsletter -o upload
    """
    export_format = ExportFormat(tool)
    with click_bad_parameter("--output"):
        _check_output(output, export_format)
    if subscriptions and export_format is not ExportFormat.CSV:
        raise click.BadParameter("only csv supports them", param_hint="--subscriptions")
    with click_errors():
        require_known_keys()
        catalogue = current_catalogue()
    with click_bad_parameter("--scope"):
        check_scopes(scopes, catalogue, export_format)
    names: Mapping[str, str] = {}
    if destination is not None:
        with click_bad_parameter("--destination"):
            found = run_in_transaction(
                lambda connection: get_by_name(connection, services().keys, destination)
            )
            scopes = scopes_of_destination(found, export_format, scopes)
            names = found.mapping
    with click_errors():
        if export_format is ExportFormat.CSV:
            stats = _write_csv(output, scopes, subscriptions=subscriptions)
        else:
            scopes = scopes or default_scopes(export_format, catalogue)
            files = _tool_files(export_format, scopes, names)
            stats = _write_tool_files(output, export_format, files)
    _print_summary(stats, output)


def _check_output(path: Path, tool: ExportFormat) -> None:
    if not path.absolute().parent.is_dir():
        raise InvalidInput("its parent folder does not exist")
    if tool is ExportFormat.CSV and path.is_dir():
        raise InvalidInput("this is a folder, but csv is written to one file")
    if (
        tool is not ExportFormat.CSV
        and path.exists()
        and not (path.is_dir() and not [*path.iterdir()])
    ):
        raise InvalidInput(f"{tool} needs a new or empty folder for its files")


def _tool_files(
    tool: ExportFormat, scopes: Iterable[str], names: Mapping[str, str]
) -> list[ExportFile]:
    return [upload for scope in scopes for upload in export_files(tool, scope, names)]


def _write_tool_files(folder: Path, tool: ExportFormat, files: Sequence[ExportFile]) -> ExportStats:
    stats = ExportStats(Counter(dict.fromkeys((file.name for file in files), 0)))
    by_scope: dict[str, list[ExportFile]] = {}
    for file in files:
        by_scope.setdefault(file.scope, []).append(file)
    folder.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as stack:
        writers = {}
        for file in files:
            text = stack.enter_context(atomic_write_text(folder / file.name))
            writers[file.name] = csv.writer(text)
            writers[file.name].writerow([file.column])
        with _open_snapshot() as (at, progress):
            for denied in at.iter_denied(list(by_scope), progress):
                if stats.count_address(denied.address) is not None:
                    for file in by_scope[denied.scope]:
                        if file.subset.includes(denied.decision):
                            writers[file.name].writerow([denied.address])
                            stats.rows[file.name] += 1
        _audit(tool, stats, list(by_scope))
    for file in files:
        click.echo(f"{file.name}\t{stats.rows[file.name]} addresses\t{file.upload_instructions}")
    return stats


def _write_csv(path: Path, scopes: Sequence[str], *, subscriptions: bool) -> ExportStats:
    stats = ExportStats()
    with atomic_write_text(path) as text:
        writer = csv.writer(text)
        writer.writerow(CSV_COLUMNS)
        with _open_snapshot() as (at, progress):
            for row in at.iter_rows(scopes, subscriptions=subscriptions, on_progress=progress):
                if stats.count_address(row.address) is not None:
                    writer.writerow(_csv_row(row))
                    stats.rows[row.kind.rules.export_status] += 1
        _audit(ExportFormat.CSV, stats, scopes)
    for status, count in sorted(stats.rows.items()):
        click.echo(f"{status}\t{count} rows")
    return stats


def _csv_row(statement: ExportRow) -> list[str]:
    evidence = statement.evidence
    return [
        statement.address or "",
        statement.channel,
        statement.kind.rules.export_status,
        statement.scope,
        statement.occurred_at.isoformat(),
        statement.received_at.isoformat(),
        statement.until.isoformat() if statement.until else "",
        statement.kind,
        evidence.get("source", statement.source),
        evidence.get("wording", ""),
        evidence.get("language", ""),
        evidence.get("legal_basis", ""),
        statement.event,
        statement.frequency,
    ]


@contextmanager
def _open_snapshot() -> Iterator[tuple[ExportSnapshot, Callable[[int], None]]]:
    """A consistent snapshot, and a progress bar for reading it."""
    context = services()
    with open_export_snapshot(context.keys, context.now()) as at:
        click.echo(f"As of {at.now:%Y-%m-%d %H:%M:%S} UTC, {at.snapshot}", err=True)
        with click.progressbar(length=at.max_address_id, label="Reading", file=sys.stderr) as bar:

            def advance(address_id: int) -> None:
                bar.update(address_id - bar.pos)

            yield at, advance


def _audit(tool: ExportFormat, stats: ExportStats, scopes: Sequence[str]) -> None:
    detail = {"for": tool, "rows": str(stats.rows.total()), "scopes": list(scopes) or ["all"]}
    now = services().now()
    run_in_transaction(
        lambda connection: audit.insert_audit_entry(
            connection, now, actor(), "export.written", detail
        )
    )


def _print_summary(stats: ExportStats, output: Path) -> None:
    pending = run_in_transaction(suppressions.count_pending)
    if stats.unreadable:
        click.echo(
            f"Omitted: {stats.unreadable} rows of which only a digest of the address is stored"
            " (imported as a hash, or erased). Only this service can match them: docs/leaving.md.",
            err=True,
        )
    if pending:
        click.echo(f"Omitted: {pending} opt-outs by mail whose address is not known yet.", err=True)
    if stats.formulas:
        click.echo(
            f"{stats.formulas} addresses begin like a formula. They are not escaped: open the files"
            " in a spreadsheet only with all columns imported as text.",
            err=True,
        )
    click.echo(f"Written: {output}", err=True)
