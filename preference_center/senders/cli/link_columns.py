"""The column of permanent links, for all stored addresses or added to a list."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import BinaryIO, TextIO

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import InvalidAddress, InvalidInput
from preference_center.core.links import Links
from preference_center.core.links.tokens import Link, restore_address
from preference_center.core.tabular import (
    detect_delimiter,
    find_address_cells,
    find_address_column,
    find_address_column_by_content,
)
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.store.addresses import list_readable_after

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
    found = _load_chunk(channels, 0)
    while found:
        last = found[-1][0]
        yield last, [restore_address(exact, channel) for _, channel, exact in found]
        found = _load_chunk(channels, last)


def _load_chunk(channels: Collection[Channel], last: int) -> list[tuple[int, Channel, str]]:
    keys = services().keys
    return run_in_transaction(
        lambda connection: list_readable_after(connection, keys, channels, last, CHUNK_SIZE)
    )


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
