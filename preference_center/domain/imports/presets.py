"""What a list from elsewhere may look like: presets, and what a row says by them.

A preset is data. It names columns and what their cells mean, and leaves to the scope map
what a group or list of the tool means here: that is asked for, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from preference_center.domain.events import EventKind
from preference_center.domain.tabular import normalize_column_name

ColumnNames: TypeAlias = tuple[str, ...]
"""Names of one column, the likeliest first. Case, blanks, `-`, `_` and dots don't count."""


class RowMeaning(StrEnum):
    """What a row can say of an address."""

    OPT_OUT = "opt_out"
    SUBSCRIPTION = "subscription"
    BOUNCE = "bounce"
    """A hard bounce: the mailbox does not exist."""
    COMPLAINT = "complaint"
    """Reported as spam."""

    @property
    def kind(self) -> EventKind:
        """The event that it becomes. None of them lifts anything (I5)."""
        return _KINDS[self]


_KINDS = {
    RowMeaning.OPT_OUT: EventKind.OPTED_OUT,
    RowMeaning.SUBSCRIPTION: EventKind.CONSENTED,
    RowMeaning.BOUNCE: EventKind.BOUNCED,
    RowMeaning.COMPLAINT: EventKind.COMPLAINED,
}


class MeaningFilter(StrEnum):
    """Which of the things that a file says are imported."""

    OPT_OUTS = "opt-outs"
    """Every "no": bounces and complaints too."""
    SUBSCRIPTIONS = "subscriptions"

    def covers(self, meaning: RowMeaning) -> bool:
        """Whether a row of this meaning is imported."""
        return (meaning is RowMeaning.SUBSCRIPTION) == (self is MeaningFilter.SUBSCRIPTIONS)


@dataclass(frozen=True, slots=True)
class CellCondition:
    """A condition on one cell: it begins with one of `values`, or is filled if there are none.

    Values are in small letters. `negated` turns it round; a missing cell is empty.
    """

    columns: ColumnNames
    prefixes: tuple[str, ...] = ()
    negated: bool = False


@dataclass(frozen=True, slots=True)
class ColumnMeaning:
    """One thing that a row may say, if all of `when` hold.

    The group is the cell of `by`, or `group` where there is none; with `split` the cell
    holds several. With `prefix`, each column so named that holds a yes is a group, called
    by the rest of its name; with `rest`, each that the preset does not name. With `items`
    (JSON), each object of that list says it on its own. `at` is the column of the date.
    """

    meaning: RowMeaning
    default_group: str = ""
    group_columns: ColumnNames = ()
    group_separator: str = ""
    group_column_prefix: str = ""
    other_columns_are_groups: bool = False
    list_columns: ColumnNames = ()
    conditions: tuple[CellCondition, ...] = ()
    date_columns: ColumnNames = ()


@dataclass(frozen=True, slots=True)
class ImportPreset:
    """How to read one kind of file.

    `page` is the vendor's page on it. A file must have the columns of `needs`; one that
    has a column of `lacks` is another preset's. `json_list` leads to the rows in a JSON
    document (as ijson writes paths). Of an `is_open` file only the one who imports it
    knows what its rows say. In an `is_strict` one each row must say something. `bare` files
    may come without a header.
    """

    name: str
    title: str
    docs_url: str
    address_columns: ColumnNames
    meanings: tuple[ColumnMeaning, ...]
    channel_columns: ColumnNames = ()
    received_at_columns: ColumnNames = ()
    evidence_columns: Mapping[str, ColumnNames] = field(default_factory=dict)
    required_columns: tuple[ColumnNames, ...] = ()
    excluded_columns: Mapping[str, str] = field(default_factory=dict)
    json_rows_path: str = "item"
    requires_meaning: bool = False
    is_hashed: bool = False
    is_strict: bool = False
    header_optional: bool = False

    @property
    def known_columns(self) -> frozenset[str]:
        """The plain names of all columns that it reads."""
        columns = [
            self.address_columns,
            self.channel_columns,
            self.received_at_columns,
            *self.evidence_columns.values(),
        ]
        for says in self.meanings:
            columns += [
                says.group_columns,
                says.date_columns,
                says.list_columns,
                *(when.columns for when in says.conditions),
            ]
        return frozenset(normalize_column_name(name) for names in columns for name in names)
