"""`flask export`: opt-outs and subscriptions for another tool's own list."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click
from flask.cli import with_appcontext

from preference_center.atomic_files import appearing_text
from preference_center.cli.errors import mending, mending_argument
from preference_center.domain.addresses import Channel
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.events import ALL_MARKETING, Kind
from preference_center.domain.export_formats import Tool, Upload, may_run, uploads
from preference_center.errors import InvalidInput
from preference_center.extensions import services
from preference_center.storage.access import audit
from preference_center.storage.access.key_fingerprints import require_known_keys
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import run
from preference_center.storage.ledger.export import Moment, Said, moment
from preference_center.storage.mail import pending_mail_opt_outs
from preference_center.storage.sync import destinations

ACTOR = "cli"

COLUMNS = (
    "address", "channel", "says", "scope", "occurred_at", "received_at", "until", "reason",
    "source", "wording", "language", "legal_basis", "event",
)  # fmt: skip
_SAYS = {
    Kind.BOUNCED: "bounced",
    Kind.COMPLAINED: "complained",
    Kind.PAUSED: "paused",
    Kind.CONSENTED: "subscription",
    Kind.OPTED_IN: "subscription",
}


@dataclass(slots=True)
class Told:
    """What was written, for the one who asked and for the audit."""

    rows: Counter[str] = field(default_factory=Counter)
    """By file."""
    unreadable: int = 0
    formulas: int = 0

    def address(self, text: str | None) -> str | None:
        """The address, counted if it can't be told, or not shown in a spreadsheet."""
        self.unreadable += text is None
        self.formulas += text is not None and may_run(text)
        return text


@click.command("export")
@click.option(
    "--for",
    "tool",
    type=click.Choice([tool.value for tool in Tool]),
    required=True,
    help="Whose format. csv is our own: everything in one file, which `flask imports` reads.",
)
@click.option(
    "--scope",
    "--topic",
    "scopes",
    multiple=True,
    help="A topic of the catalogue, or all_marketing; repeat it. If left out: for sendgrid and"
    " mailchimp every topic sent by email, for hubspot all_marketing, for csv all there is.",
)
@click.option(
    "--destination",
    metavar="NAME",
    help="The destination whose topics to take, and whose groups name the files.",
)
@click.option(
    "--subscriptions", is_flag=True, help="Also who asked for what, with evidence: csv only."
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    required=True,
    help="A file for csv; a new or empty folder for a tool's files.",
)
@with_appcontext
def export(
    tool: str,
    scopes: tuple[str, ...],
    destination: str | None,
    subscriptions: bool,  # noqa: FBT001 - a flag of click's
    output: Path,
) -> None:
    """Write everybody who said no, in the format that another tool imports.

    Files for a tool hold whom a check would deny the topic just now, pauses and bounces
    included; the output says where each is to be uploaded. The csv holds every "no" that
    stands, as it was said. Addresses known by a digest only can't be written, only counted.

    The files appear under their name when they are complete. They hold addresses: keep
    them close. docs/leaving.md tells the order of steps for leaving a tool, or us.

    Example: flask export --for sendgrid --destination newsletter -o upload
    """
    wanted = Tool(tool)
    with mending_argument("--output"):
        _check_output(output, wanted)
    if subscriptions and wanted is not Tool.CSV:
        raise click.BadParameter("only csv has room for them", param_hint="--subscriptions")
    with mending():
        require_known_keys()
        catalogue = current_catalogue()
    with mending_argument("--scope"):
        _check(scopes, catalogue, wanted)
    with mending_argument("--destination"):
        scopes, names = _destination(destination, wanted, scopes)
    with mending():
        told = (
            _own(output, scopes, subscriptions=subscriptions)
            if wanted is Tool.CSV
            else _for_tool(
                output, wanted, _files(wanted, scopes or _default(wanted, catalogue), names)
            )
        )
    _tell(told, output)


def _check_output(path: Path, tool: Tool) -> None:
    if not path.absolute().parent.is_dir():
        raise InvalidInput("the folder that it is to lie in does not exist")
    if tool is Tool.CSV and path.is_dir():
        raise InvalidInput("this is a folder: csv is one file")
    if tool is not Tool.CSV and path.exists() and not (path.is_dir() and not [*path.iterdir()]):
        raise InvalidInput(f"{tool} needs a new or empty folder for its files")


def _check(scopes: Iterable[str], catalogue: Catalogue, tool: Tool) -> None:
    for scope in scopes:
        if scope == ALL_MARKETING:
            continue
        topic = catalogue.topic(scope)
        if tool is not Tool.CSV and topic.channel is not Channel.EMAIL:
            raise InvalidInput(f"{scope} is sent by {topic.channel}: only csv takes it")


def _default(tool: Tool, catalogue: Catalogue) -> tuple[str, ...]:
    if tool is Tool.HUBSPOT:
        return (ALL_MARKETING,)
    return tuple(topic.key for topic in catalogue.topics_on(Channel.EMAIL))


def _destination(
    name: str | None, tool: Tool, scopes: tuple[str, ...]
) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """The scopes to take, and the tool's own names for topics."""
    if name is None:
        return scopes, {}
    keys = services().keys
    found = run(lambda connection: destinations.by_name(connection, keys, name))
    if tool is not Tool.CSV and found.kind != tool:
        raise InvalidInput(f"{name} is of the kind {found.kind}: write --for {found.kind} or csv")
    if foreign := [scope for scope in scopes if scope not in {*found.sends, ALL_MARKETING}]:
        raise InvalidInput(f"{name} does not send {', '.join(foreign)}")
    if tool is Tool.HUBSPOT:
        return scopes or (ALL_MARKETING,), found.mapping
    return scopes or tuple(sorted(found.sends)), found.mapping


def _files(tool: Tool, scopes: Iterable[str], names: Mapping[str, str]) -> list[Upload]:
    return [upload for scope in scopes for upload in uploads(tool, scope, names)]


def _for_tool(folder: Path, tool: Tool, files: Sequence[Upload]) -> Told:
    told = Told(Counter(dict.fromkeys((file.name for file in files), 0)))
    by_scope: dict[str, list[Upload]] = {}
    for file in files:
        by_scope.setdefault(file.scope, []).append(file)
    folder.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as stack:
        sheets = {}
        for file in files:
            text = stack.enter_context(appearing_text(folder / file.name))
            sheets[file.name] = csv.writer(text)
            sheets[file.name].writerow([file.column])
        with _reading() as (at, progress):
            for denied in at.denied(list(by_scope), progress):
                if told.address(denied.address) is not None:
                    for file in by_scope[denied.scope]:
                        if file.part.has(denied.decision):
                            sheets[file.name].writerow([denied.address])
                            told.rows[file.name] += 1
        _audit(tool, told, list(by_scope))
    for file in files:
        click.echo(f"{file.name}\t{told.rows[file.name]} addresses\t{file.where}")
    return told


def _own(path: Path, scopes: Sequence[str], *, subscriptions: bool) -> Told:
    told = Told()
    with appearing_text(path) as text:
        sheet = csv.writer(text)
        sheet.writerow(COLUMNS)
        with _reading() as (at, progress):
            for said in at.said(scopes, subscriptions=subscriptions, progress=progress):
                if told.address(said.address) is not None:
                    sheet.writerow(_row(said))
                    told.rows[_SAYS.get(said.kind, "opted_out")] += 1
        _audit(Tool.CSV, told, scopes)
    for says, count in sorted(told.rows.items()):
        click.echo(f"{says}\t{count} rows")
    return told


def _row(said: Said) -> list[str]:
    evidence = said.evidence
    return [
        said.address or "",
        said.channel,
        _SAYS.get(said.kind, "opted_out"),
        said.scope,
        said.occurred_at.isoformat(),
        said.received_at.isoformat(),
        said.until.isoformat() if said.until else "",
        said.kind,
        evidence.get("source", said.source),
        evidence.get("wording", ""),
        evidence.get("language", ""),
        evidence.get("legal_basis", ""),
        said.event,
    ]


@contextmanager
def _reading() -> Iterator[tuple[Moment, Callable[[int], None]]]:
    """All as of one moment, and a bar that shows how far reading it is."""
    wired = services()
    with moment(wired.keys, wired.now()) as at:
        click.echo(f"As of {at.now:%Y-%m-%d %H:%M:%S} UTC, watermark {at.watermark}", err=True)
        with click.progressbar(length=at.highest, label="Reading", file=sys.stderr) as bar:

            def reach(address_id: int) -> None:
                bar.update(address_id - bar.pos)

            yield at, reach


def _audit(tool: Tool, told: Told, scopes: Sequence[str]) -> None:
    detail = {"for": tool, "rows": str(told.rows.total()), "scopes": list(scopes) or ["all"]}
    now = services().now()
    run(lambda connection: audit.append(connection, now, ACTOR, "export.written", detail))


def _tell(told: Told, output: Path) -> None:
    waiting = run(pending_mail_opt_outs.count)
    if told.unreadable:
        click.echo(
            f"Left out: {told.unreadable} rows whose address is known by a digest only (imported"
            " as a hash, or erased). Only we can match them: docs/leaving.md.",
            err=True,
        )
    if waiting:
        click.echo(
            f"Left out: {waiting} opt-outs by mail whose address is not known yet.", err=True
        )
    if told.formulas:
        click.echo(
            f"{told.formulas} addresses begin like a formula. They are exact: open the files in"
            " a spreadsheet only with all columns imported as text.",
            err=True,
        )
    click.echo(f"Written: {output}", err=True)
