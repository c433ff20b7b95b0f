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

from preference_center.atomic_files import appearing
from preference_center.cli.errors import mending
from preference_center.cli.link_columns import (
    Column,
    Sheet,
    Written,
    as_text,
    write_beside,
    write_known,
)
from preference_center.domain.addresses import Channel
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.events import ALL_MARKETING
from preference_center.domain.sync.destination import Destination
from preference_center.errors import InvalidInput
from preference_center.extensions import services
from preference_center.storage.access import audit
from preference_center.storage.access import link_keys as standing
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection, run
from preference_center.storage.ledger.addresses import newest_id
from preference_center.storage.sync.destinations import by_name

ACTOR = "cli"

_SHORT_FIELD = 255
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
    with mending():
        catalogue = current_catalogue()
        destination = run(lambda connection: by_name(connection, services().keys, name))
        scope = _scope(destination, topic, catalogue)
        channels = _channels(destination, scope, catalogue)
        since = run(lambda connection: _begin(connection, destination.id))
        made = Column(
            services().links,
            destination.id,
            scope,
            since,
            catalogue.host_of(scope),
            page == "preferences",
        )
        with _writing(output) as out:
            if given is None:
                with _progress(run(newest_id)) as at:
                    written = write_known(out, made, title, channels, at)
            else:
                sheet = Sheet(title, channels[0], services().settings.phone_region, column)
                with _progress(_size(given)) as at:
                    text = as_text(given, encoding)
                    written = write_beside(out, text, made, sheet, _place(given, at))
        run(lambda connection: _note(connection, destination.name, scope, written))
    _tell(written)


@links.command("revoke")
@click.option("--destination", "name", required=True, help="Whose links are to be withdrawn.")
def revoke(name: str) -> None:
    """Withdraw every standing link of a destination, for a column that leaked.

    Within two seconds they show nothing any more but that they were withdrawn. They still
    say no, for ever. Then write and upload a new column with `flask links export`.
    """
    with mending():
        destination = run(lambda connection: by_name(connection, services().keys, name))
        ended = run(lambda connection: _revoke(connection, destination))
    if ended:
        click.echo(f"The standing links of {name} are withdrawn. Now write new ones:")
        click.echo(f"flask links export --destination {name}")
    else:
        click.echo(f"There never were standing links of {name}: nothing to withdraw.")


def _scope(destination: Destination, topic: str | None, catalogue: Catalogue) -> str:
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


def _begin(connection: Connection, destination: int) -> datetime:
    return standing.begin(connection, destination, services().now())


def _note(connection: Connection, name: str, scope: str, written: Written) -> None:
    detail = {"destination": name, "scope": scope, "links": str(written.links)}
    audit.append(connection, services().now(), ACTOR, "links.exported", detail)


def _revoke(connection: Connection, destination: Destination) -> bool:
    now = services().now()
    ended = standing.begin_anew(connection, destination.id, now)
    if ended:
        audit.append(connection, now, ACTOR, "links.revoked", {"destination": destination.name})
    return ended


@contextmanager
def _writing(output: Path | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    with appearing(output) as file:
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


def _place(file: BinaryIO, at: Callable[[int], None]) -> Callable[[], None]:
    """Tell `at` how far `file` was read."""
    return (lambda: at(file.tell())) if _size(file) else (lambda: None)


def _size(file: BinaryIO) -> int:
    """Octets of a file; 0 for a pipe, which can't tell how far it is either."""
    try:
        return os.fstat(file.fileno()).st_size if file.seekable() else 0
    except OSError:
        return 0


def _tell(written: Written) -> None:
    click.echo(f"{written.links:,} links.", err=True)
    if written.longest > _SHORT_FIELD:
        click.echo(
            f"The longest has {written.longest} characters; some tools cut a text field at"
            f" {_SHORT_FIELD}. Check that yours takes it.",
            err=True,
        )
    if written.unreadable:
        click.echo(
            f"{written.unreadable:,} rows have none: their address can't be read, so no"
            " sender may mail them either.",
            err=True,
        )
