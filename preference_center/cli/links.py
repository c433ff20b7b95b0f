"""`flask links`: standing links, for tools whose merge tags can't call us."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, TextIO

import click
from flask.cli import AppGroup

from preference_center.atomic_files import atomic_write
from preference_center.cli.errors import click_errors
from preference_center.cli.link_columns import (
    LinkColumn,
    LinkListOptions,
    LinkStats,
    open_text,
    write_all_links,
    write_list_with_links,
)
from preference_center.context import services
from preference_center.domain.addresses import Channel
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.events import ALL_MARKETING
from preference_center.domain.sync.destination import Destination
from preference_center.errors import InvalidInput
from preference_center.storage.access import audit
from preference_center.storage.access import link_keys as standing
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.ledger.addresses import load_newest_id
from preference_center.storage.sync.destinations import get_by_name

ACTOR = "cli"

_COMMON_FIELD_LIMIT = 255
"""Characters that a text field holds in some tools."""

links = AppGroup("links", help="Standing links, to upload into a tool as a custom field.")


@links.command("export")
@click.option("--destination", "name", required=True, help="The destination it is for.")
@click.option(
    "--topic",
    metavar="TOPIC",
    help="What the links opt out of: a topic that the destination sends, or all_marketing."
    " May be left out where it sends one topic only.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="The CSV file to write. It appears when it is complete. Without it: standard output.",
)
@click.option(
    "--input",
    "given",
    type=click.File("rb"),
    help="A CSV list, or - for standard input, to put the column beside. Without it: every"
    " address we know on the destination's channels.",
)
@click.option("--column", help="Name or number of the column with the address in that list.")
@click.option("--encoding", default="utf-8", show_default=True, help="Of that list.")
@click.option(
    "--as", "title", default="preference_link", show_default=True, help="What to call the column."
)
@click.option(
    "--page",
    type=click.Choice(["preferences", "unsubscribe"]),
    default="preferences",
    show_default=True,
    help="Where the links lead: to all choices, or to one button.",
)
def export(
    name: str,
    topic: str | None,
    output: Path | None,
    given: BinaryIO | None,
    column: str | None,
    encoding: str,
    title: str,
    page: str,
) -> None:
    """Write one link per address, to upload into a tool as a custom field.

    The links name no message, do not age, and are the same whenever you write them, until
    `flask links revoke` withdraws them or LINK_KEYS get a new key in front; older ones work
    on. docs/campaign-tools.md has the footers that use them. The file holds addresses and
    what opts them out: keep it close, and delete it after the upload.

    Example: flask links export --destination newsletter -o links.csv
    """
    with click_errors():
        catalogue = current_catalogue()
        destination = run_in_transaction(
            lambda connection: get_by_name(connection, services().keys, name)
        )
        scope = _select_scope(destination, topic, catalogue)
        channels = _channels(destination, scope, catalogue)
        since = run_in_transaction(lambda connection: _links_since(connection, destination.id))
        made = LinkColumn(
            services().links,
            destination.id,
            scope,
            since,
            catalogue.host_for_scope(scope),
            page == "preferences",
        )
        with _open_output(output) as out:
            if given is None:
                with _progress(run_in_transaction(load_newest_id)) as at:
                    written = write_all_links(out, made, title, channels, at)
            else:
                region = services().settings.phone_region
                sheet = LinkListOptions(title, channels[0], region, column)
                with _progress(_file_size(given)) as at:
                    text = open_text(given, encoding)
                    written = write_list_with_links(
                        out, text, made, sheet, _file_progress(given, at)
                    )
        run_in_transaction(
            lambda connection: _audit_export(connection, destination.name, scope, written)
        )
    _print_stats(written)


@links.command("revoke")
@click.option("--destination", "name", required=True, help="Whose links are to be withdrawn.")
def revoke(name: str) -> None:
    """Withdraw every standing link of a destination, for a column that leaked.

    Within two seconds they show nothing any more but that they were withdrawn. They still
    say no, for ever. Then write and upload a new column with `flask links export`.
    """
    with click_errors():
        destination = run_in_transaction(
            lambda connection: get_by_name(connection, services().keys, name)
        )
        ended = run_in_transaction(lambda connection: _withdraw_links(connection, destination))
    if ended:
        click.echo(f"The standing links of {name} are withdrawn. Now write new ones:")
        click.echo(f"flask links export --destination {name}")
    else:
        click.echo(f"There never were standing links of {name}: nothing to withdraw.")


def _select_scope(destination: Destination, topic: str | None, catalogue: Catalogue) -> str:
    """What the links opt out of. Raises InvalidInput that names what there is to choose."""
    sends = sorted(destination.sends)
    if topic is None and len(sends) == 1:
        return sends[0]
    choice = f"--topic: {', '.join([*sends, ALL_MARKETING])}"
    if topic is None:
        raise InvalidInput(f"{destination.name} sends several topics. Choose by {choice}")
    if topic == ALL_MARKETING:
        return topic
    if catalogue.topic(topic).key not in destination.sends:
        raise InvalidInput(f"{destination.name} does not send that topic. Choose by {choice}")
    return topic


def _channels(destination: Destination, scope: str, catalogue: Catalogue) -> list[Channel]:
    """The channels of the addresses: those of the topic, or all that the tool has."""
    if scope in catalogue.topics:
        return [catalogue.topics[scope].channel]
    return [channel for channel in Channel if channel in destination.channels]


def _links_since(connection: Connection, destination: int) -> datetime:
    return standing.enable_permanent_links(connection, destination, services().now())


def _audit_export(connection: Connection, name: str, scope: str, stats: LinkStats) -> None:
    detail = {"destination": name, "scope": scope, "links": str(stats.links)}
    audit.insert_audit_entry(connection, services().now(), ACTOR, "links.exported", detail)


def _withdraw_links(connection: Connection, destination: Destination) -> bool:
    now = services().now()
    ended = standing.revoke_permanent_links(connection, destination.id, now)
    if ended:
        audit.insert_audit_entry(
            connection, now, ACTOR, "links.revoked", {"destination": destination.name}
        )
    return ended


@contextmanager
def _open_output(output: Path | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    with atomic_write(output) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
        yield text
        text.detach()


@contextmanager
def _progress(length: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal's standard error, to be told how far it is; nothing elsewhere."""
    if not length or not sys.stderr.isatty():
        yield lambda _place: None
        return
    with click.progressbar(length=length, label="Writing links", file=sys.stderr) as bar:
        yield lambda place: bar.update(place - bar.pos)


def _file_progress(file: BinaryIO, report: Callable[[int], None]) -> Callable[[], None]:
    """Tell `at` how far `file` was read."""
    return (lambda: report(file.tell())) if _file_size(file) else (lambda: None)


def _file_size(file: BinaryIO) -> int:
    """Octets of a file; 0 for a pipe, which can't tell how far it is either."""
    try:
        return os.fstat(file.fileno()).st_size if file.seekable() else 0
    except OSError:
        return 0


def _print_stats(stats: LinkStats) -> None:
    click.echo(f"{stats.links:,} links.", err=True)
    if stats.longest > _COMMON_FIELD_LIMIT:
        click.echo(
            f"The longest has {stats.longest} characters; some tools cut a text field at"
            f" {_COMMON_FIELD_LIMIT}. Check that yours takes it.",
            err=True,
        )
    if stats.unreadable:
        click.echo(
            f"{stats.unreadable:,} rows have none: their address can't be read, so no"
            " sender may mail them either.",
            err=True,
        )
