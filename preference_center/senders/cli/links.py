"""`flask links` creates permanent links, for tools whose merge tags can't call our API.

It writes the column for all stored addresses, or adds it to a list.
"""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import BinaryIO, TextIO

import click

from preference_center.catalogue import Catalogue
from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import InvalidAddress, InvalidInput
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links import Links
from preference_center.core.links.tokens import Link, restore_address
from preference_center.core.tabular import (
    detect_delimiter,
    find_address_cells,
    find_address_column,
    find_address_column_by_content,
)
from preference_center.destinations.rules.states import Destination
from preference_center.destinations.store.destinations import get_by_name
from preference_center.infra import audit
from preference_center.infra.commands import CommandGroup, actor, click_errors
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.infra.files import atomic_write_text
from preference_center.infra.keys import link_keys
from preference_center.ledger.store.addresses import list_readable_after, load_newest_id

CHUNK_SIZE = 10_000
"""Addresses that are loaded at a time, and rows between two progress reports."""


@dataclass(frozen=True, slots=True)
class LinkColumn:
    """The permanent links of one destination and scope."""

    links: Links = field(repr=False)
    destination: int
    scope: str
    since: datetime
    """When they were first exported: makes every export of an address the same."""
    host: str | None
    shows_choices: bool
    """Whether they open the page with all choices, not the one with one button."""

    def url(self, address: Address) -> str:
        """The permanent link of `address`."""
        link = Link(address, self.scope, "", self.since, destination_id=self.destination)
        token = self.links.create_permanent_token(link)
        if self.shows_choices:
            return self.links.preferences_url(token, self.host)
        return self.links.unsubscribe_url(token, self.host)


@dataclass(frozen=True, slots=True)
class LinkStats:
    """Counts of rows with a link, and of rows without because their address is invalid."""

    links: int = 0
    unreadable: int = 0
    longest: int = 0
    """Length of the longest link in characters."""


def write_all_links(
    out: TextIO,
    column: LinkColumn,
    name: str,
    channels: Collection[Channel],
    progress: Callable[[int], None],
) -> LinkStats:
    """Two columns, `address` and the link, of every readable address on these channels.

    `progress` is called with the id of the last address written. Memory stays bounded.
    """
    writer = csv.writer(out)
    writer.writerow(["address", name])
    count = longest = 0
    for last, found in _readable_addresses(channels):
        rows = [(each.exact, column.url(each)) for each in found]
        writer.writerows(rows)
        count += len(rows)
        longest = max(longest, *(len(url) for _, url in rows))
        progress(last)
    return LinkStats(count, longest=longest)


def write_list_with_links(
    out: TextIO,
    text: TextIO,
    column: LinkColumn,
    options: LinkListOptions,
    progress: Callable[[], None],
) -> LinkStats:
    """The list unchanged, with the link as last column; empty where the address is invalid.

    `progress` is called every `CHUNK_SIZE` rows. Memory stays bounded.

    Raises InvalidInput if it is not CSV, has no address column or is in another encoding.
    """
    links = unreadable = longest = 0
    try:
        rows, delimiter = _read_csv(text)
        first = next(rows, None)
        if first is None:
            raise InvalidInput("the list is empty")
        index, has_header = options.find_address_column(first)
        writer = csv.writer(out, delimiter=delimiter)
        if has_header:
            if options.column_title in first:
                raise InvalidInput(
                    f"the list has a column {options.column_title} already: use another --title"
                )
            writer.writerow([*first, options.column_title])
        width = len(first)
        for row in rows if has_header else chain([first], rows):
            address = options.address_in(row, index)
            url = column.url(address) if address else ""
            writer.writerow([*row, *[""] * (width - len(row)), url])
            longest = max(longest, len(url))
            links += address is not None
            unreadable += address is None
            if (links + unreadable) % CHUNK_SIZE == 0:
                progress()
    except UnicodeDecodeError:
        raise InvalidInput("the list is not UTF-8: give its --encoding, e.g. cp1252") from None
    except csv.Error as error:
        raise InvalidInput(f"the list is not valid CSV: {error}") from None
    return LinkStats(links, unreadable, longest)


@dataclass(frozen=True, slots=True)
class LinkListOptions:
    """How to find the address in a list, and the title of the new column."""

    column_title: str
    channel: Channel
    region: str
    address_column: str | None = None
    """Name or number (from 1) of the address column; detected if None."""

    def find_address_column(self, first_row: Sequence[str]) -> tuple[int, bool]:
        """The index of the address's column, and whether the first row is a header.

        Raises InvalidList, which lists the columns.
        """
        has_header = not find_address_cells(first_row, self.channel, self.region)
        if has_header or self.address_column is not None:
            return find_address_column(first_row, self.address_column, self.channel), has_header
        return find_address_column_by_content(first_row, self.channel, self.region), False

    def address_in(self, row: Sequence[str], index: int) -> Address | None:
        """The address in a row; None if it has no valid one."""
        if index < len(row):
            with suppress(InvalidAddress):
                return parse_address(row[index], self.channel, region=self.region)
        return None


def _readable_addresses(channels: Collection[Channel]) -> Iterator[tuple[int, list[Address]]]:
    """All readable addresses in chunks, each with the id of its last address."""
    keys, last = services().keys, 0
    while found := run_in_transaction(
        lambda connection: list_readable_after(connection, keys, channels, last, CHUNK_SIZE)  # noqa: B023 - called at once
    ):
        last = found[-1][0]
        yield last, [restore_address(exact, channel) for _, channel, exact in found]


def _read_csv(text: TextIO) -> tuple[Iterator[list[str]], str]:
    """The non-empty rows, and their delimiter."""
    first = text.readline()
    delimiter = detect_delimiter(first)
    return (row for row in csv.reader(chain([first], text), delimiter=delimiter) if row), delimiter


def open_text(file: BinaryIO, encoding: str) -> TextIO:
    """The list as text, without byte order mark. Raises InvalidInput for an unknown encoding."""
    try:
        return io.TextIOWrapper(file, "utf-8-sig" if encoding == "utf-8" else encoding, newline="")
    except LookupError:
        raise InvalidInput("unknown encoding") from None


_COMMON_FIELD_LIMIT = 255
"""Maximum characters of a text field in some tools."""


links = CommandGroup("links", help="Permanent links, to upload into a tool as a custom field.")


@links.command("export")
@click.option("--destination", "name", required=True, help="The destination that gets the links.")
@click.option(
    "--topic",
    metavar="TOPIC",
    help="What the links opt out of: a topic that the destination sends, or all_marketing."
    " Optional if it sends only one topic.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="The CSV file to write. It appears when it is complete. Default: standard output.",
)
@click.option(
    "--input",
    "input_file",
    type=click.File("rb"),
    help="A CSV list, or - for standard input, to which the column is added. Default: every"
    " stored address on the destination's channels.",
)
@click.option("--column", help="Name or number of the address column in that list.")
@click.option("--encoding", default="utf-8", show_default=True, help="Encoding of that list.")
@click.option(
    "--title", default="preference_link", show_default=True, help="Name of the new column."
)
@click.option(
    "--page",
    type=click.Choice(["preferences", "unsubscribe"]),
    default="preferences",
    show_default=True,
    help="The page that the links open: all choices, or one button.",
)
def export(
    name: str,
    topic: str | None,
    output: Path | None,
    input_file: BinaryIO | None,
    column: str | None,
    encoding: str,
    title: str,
    page: str,
) -> None:
    """Write one link per address, to upload into a tool as a custom field.

    The links belong to no message, do not expire, and are the same in every export, until
    `flask links revoke` withdraws them or LINK_KEYS gets a new first key; older links keep
    working. docs/campaign-tools.md has the footers that use them. The file contains addresses
    with links that opt them out: protect it, and delete it after the upload.

    Example: flask links export --destination newsletter -o links.csv
    """
    with click_errors():
        catalogue = current_catalogue()
        destination = run_in_transaction(
            lambda connection: get_by_name(connection, services().keys, name)
        )
        scope = _select_scope(destination, topic, catalogue)
        channels = _channels(destination, scope, catalogue)
        now = services().now()
        since = run_in_transaction(
            lambda connection: link_keys.enable_permanent_links(connection, destination.id, now)
        )
        link_column = LinkColumn(
            services().links,
            destination.id,
            scope,
            since,
            catalogue.host_for_scope(scope),
            page == "preferences",
        )
        with atomic_write_text(output) if output else nullcontext(sys.stdout) as out:
            if input_file is None:
                with _progress(run_in_transaction(load_newest_id)) as report:
                    written = write_all_links(out, link_column, title, channels, report)
            else:
                region = services().settings.phone_region
                options = LinkListOptions(title, channels[0], region, column)
                with _progress(_file_size(input_file)) as report:
                    text = open_text(input_file, encoding)
                    written = write_list_with_links(
                        out, text, link_column, options, _file_progress(input_file, report)
                    )
        run_in_transaction(
            lambda connection: _audit_export(connection, destination.name, scope, written)
        )
    _print_stats(written)


@links.command("revoke")
@click.option(
    "--destination", "name", required=True, help="The destination whose links to withdraw."
)
def revoke(name: str) -> None:
    """Withdraw all permanent links of a destination, e.g. after the column leaked.

    Within two seconds their pages show only that they were withdrawn. They still opt out,
    permanently. Then write and upload a new column with `flask links export`.
    """
    with click_errors():
        destination = run_in_transaction(
            lambda connection: get_by_name(connection, services().keys, name)
        )
        ended = run_in_transaction(lambda connection: _withdraw_links(connection, destination))
    if ended:
        click.echo(f"The permanent links of {name} are withdrawn. Now write new ones:")
        click.echo(f"flask links export --destination {name}")
    else:
        click.echo(f"{name} never had permanent links: nothing to withdraw.")


def _select_scope(destination: Destination, topic: str | None, catalogue: Catalogue) -> str:
    """What the links opt out of. Raises InvalidInput that lists the choices."""
    sends = sorted(destination.topics)
    if topic is None and len(sends) == 1:
        return sends[0]
    choice = f"--topic: {', '.join([*sends, ALL_MARKETING])}"
    if topic is None:
        raise InvalidInput(f"{destination.name} sends several topics. Choose by {choice}")
    if topic == ALL_MARKETING:
        return topic
    if catalogue.topic(topic).key not in destination.topics:
        raise InvalidInput(f"{destination.name} does not send that topic. Choose by {choice}")
    return topic


def _channels(destination: Destination, scope: str, catalogue: Catalogue) -> list[Channel]:
    """The channels of the addresses: that of the topic, or all of the destination's."""
    if scope in catalogue.topics:
        return [catalogue.topics[scope].channel]
    return [channel for channel in Channel if channel in destination.channels]


def _audit_export(connection: Connection, name: str, scope: str, stats: LinkStats) -> None:
    detail = {"destination": name, "scope": scope, "links": str(stats.links)}
    audit.insert_audit_entry(connection, services().now(), actor(), "links.exported", detail)


def _withdraw_links(connection: Connection, destination: Destination) -> bool:
    now = services().now()
    ended = link_keys.revoke_permanent_links(connection, destination.id, now)
    if ended:
        audit.insert_audit_entry(
            connection, now, actor(), "links.revoked", {"destination": destination.name}
        )
    return ended


@contextmanager
def _progress(length: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error if that is a terminal; yields its update function."""
    if not length or not sys.stderr.isatty():
        yield lambda _position: None
        return
    with click.progressbar(length=length, label="Writing links", file=sys.stderr) as bar:
        yield lambda position: bar.update(position - bar.pos)


def _file_progress(file: BinaryIO, report: Callable[[int], None]) -> Callable[[], None]:
    """A callback that reports the position in `file`."""
    return (lambda: report(file.tell())) if _file_size(file) else (lambda: None)


def _file_size(file: BinaryIO) -> int:
    """Size of a file in bytes; 0 for a pipe, which has no position either."""
    try:
        return os.fstat(file.fileno()).st_size if file.seekable() else 0
    except OSError:
        return 0


def _print_stats(stats: LinkStats) -> None:
    click.echo(f"{stats.links:,} links.", err=True)
    if stats.longest > _COMMON_FIELD_LIMIT:
        click.echo(
            f"The longest has {stats.longest} characters; some tools truncate a text field at"
            f" {_COMMON_FIELD_LIMIT}. Check the limit of yours.",
            err=True,
        )
    if stats.unreadable:
        click.echo(
            f"{stats.unreadable:,} rows have no link: their address is invalid, so decisions deny"
            " them too.",
            err=True,
        )
