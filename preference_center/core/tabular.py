"""Lists of addresses as CSV: the delimiter, and the column that holds the address.

Shared by every reader of such lists (scrub, imports, links, agents' requests, the API), so that
all of them find the same columns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import InvalidAddress, InvalidList

_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")
_PHONE = re.compile(r"\+\d+")


DELIMITERS = ",;\t|"
"""Delimiters that are detected, the most usual first."""

_IGNORED = str.maketrans("", "", "-_.:*'\"\u2010\u2011\u2013\u2019\u200b\ufeff")


def address_column_names(channel: Channel | None = None) -> tuple[tuple[str, ...], ...]:
    """The groups of names of a channel, else those of all, email first: see `ChannelRules`."""
    if channel is not None:
        return channel.rules.column_names
    return tuple(group for each in Channel for group in each.rules.column_names)


@cache
def normalize_column_name(name: str) -> str:
    """A column's name without what differs between exports.

    That is case, every kind of space and dash, `_`, dots, colons, quotes, and the asterisk of a
    required field.
    """
    return "".join(name.casefold().translate(_IGNORED).split())


def detect_delimiter(line: str) -> str:
    """The delimiter that occurs most often in the first line; a comma if none does."""
    return max(DELIMITERS, key=line.count)


def find_address_column(names: Sequence[str], wanted: str | None, channel: Channel | None) -> int:
    """The index of the address's column among `names`; `wanted` is its name or number from 1.

    Without a `channel` it may be that of any, email first. A list of one column needs no name.
    Raises InvalidList, which lists the columns.
    """
    if wanted is not None:
        return _find_named_column(names, wanted)
    found = find_likely_columns(names, channel)
    if len(found) == 1:
        return found[0]
    if found:
        raise InvalidList(
            "several columns may hold the address: choose one with --column. They are:"
            f" {_format_names([names[index] for index in found])}"
        )
    if len(names) == 1:
        return 0
    raise InvalidList(
        "no column has a known name for the address: name it with --column. The columns are:"
        f" {_format_names(names)}"
    )


def find_likely_columns(names: Sequence[str], channel: Channel | None) -> list[int]:
    """The indexes of the columns with the likeliest name for the address; none has one if empty."""
    normalized = [normalize_column_name(name) for name in names]
    for group in address_column_names(channel):
        known = {normalize_column_name(name) for name in group}
        found = [index for index, name in enumerate(normalized) if name in known]
        if found:
            return found
    return []


def find_address_column_by_content(row: Sequence[str], channel: Channel, region: str) -> int:
    """The index of the only cell that is an address, in a list without a header.

    Raises InvalidList; its message contains no cell (I12).
    """
    found = find_address_cells(row, channel, region)
    if len(found) == 1:
        return found[0]
    how_many = "several cells are addresses" if found else "no cell is an address"
    raise InvalidList(
        f"in the first row {how_many}: give the number of the column with --column,"
        f" from 1 to {len(row)}"
    )


def find_address_cells(row: Sequence[str], channel: Channel, region: str) -> list[int]:
    """The indexes of the cells that can be parsed as addresses; a header has none."""
    return [index for index, cell in enumerate(row) if _is_address(cell, channel, region)]


def _is_address(cell: str, channel: Channel, region: str) -> bool:
    try:
        parse_cell(cell, channel, region)
    except InvalidAddress:
        return False
    return True


_TEXT_MARKS = "'\u2018\u2019"
_BEFORE_TEXT = f"{_TEXT_MARKS} \t\u00a0\u200b\ufeff"


def strip_text_mark(cell: str) -> str:
    """The cell without the apostrophe that marks text in a spreadsheet, or a pair around it."""
    text = cell.strip(" \t\u00a0\u200b\ufeff")
    return text.strip(_BEFORE_TEXT) if text.startswith(tuple(_TEXT_MARKS)) else cell


_DECIMAL = re.compile(r"(?<=\d{7})\.0+\s*$")


_EMAIL_SEPARATORS = re.compile(r"[\s;,|<>()\[\]{}\"'\u2018-\u201e\u00ab\u00bb]+")
_PHONE_SEPARATORS = re.compile(r"[;|\n\"=\[\]]+")


def parse_every_address(cell: str, channel: Channel, region: str | None) -> tuple[Address, ...]:
    """Every address in a cell: those of `parse_cell`, else all that stand in it with other text.

    For opt-outs: several in one cell, "Doe, Jane <jane@example.com>", ="jane@example.com". Raises
    InvalidAddress if there is none, or if one of them can't be parsed.
    """
    try:
        return parse_cell(cell, channel, region)
    except InvalidAddress:
        is_email = channel.rules.is_email
        parts = (_EMAIL_SEPARATORS if is_email else _PHONE_SEPARATORS).split(cell)
        parts = [part for part in parts if ("@" in part if is_email else part.strip())]
        if parts in ([], [cell]):
            raise
        parsed = (parse_address(part, channel, region=region) for part in parts)
        return tuple(dict.fromkeys(parsed))


def parse_cell(cell: str, channel: Channel, region: str | None) -> tuple[Address, ...]:
    """The addresses that a cell may mean, the one as it is written first.

    Excel, and programs that guard against formulas, put an apostrophe before text; it is also a
    letter of addresses (atext, RFC 5322 3.2.3), so 'jane@example.com may be either. For a phone
    number, and where one stands on both sides, it is none. A program that takes a phone number for
    a decimal adds .0 to it. Raises InvalidAddress.
    """
    bare = strip_text_mark(cell)
    if not channel.rules.is_email:
        bare = _DECIMAL.sub("", bare)
    if bare == cell:
        return (parse_address(cell, channel, region=region),)
    found = []
    for text in (cell, bare):
        try:
            found.append(parse_address(text, channel, region=region))
        except InvalidAddress:
            if text is bare and not found:
                raise
    return tuple(dict.fromkeys(found))


def _find_named_column(names: Sequence[str], wanted: str) -> int:
    found = [index for index, name in enumerate(names) if name == wanted]
    if not found:
        normalized = normalize_column_name(wanted)
        found = [i for i, name in enumerate(names) if normalize_column_name(name) == normalized]
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        raise InvalidList(f"{len(found)} columns have that name: give the number of one")
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return int(wanted) - 1
    raise InvalidList(f"the list has no such column. The columns are: {_format_names(names)}")


def _format_names(names: Sequence[str]) -> str:
    shown = [f"{name[:40]!r}" for name in names[:30]]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return ", ".join(shown) + more


def is_spreadsheet_formula(text: str) -> bool:
    """Whether a spreadsheet would take this cell for a formula, and so change or run it.

    It is exported all the same, exactly: with an apostrophe before it, it would be another
    address, and the person's opt-out would be lost. Plain phone numbers do no harm.
    """
    return text.startswith(_FORMULA_PREFIXES) and not _PHONE.fullmatch(text)


def to_spreadsheet_text(text: str) -> str:
    """The text of a cell, with an apostrophe before it where a spreadsheet would run it.

    https://owasp.org/www-community/attacks/CSV_Injection. Not for what a program reads back.
    """
    runs = text.lstrip().startswith(_FORMULA_PREFIXES) or text[:1].isspace()
    return f"'{text}" if runs else text
