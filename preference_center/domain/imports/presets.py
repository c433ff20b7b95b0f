"""What a list from elsewhere may look like: presets, and what a row says by them.

A preset is data. It names columns and what their cells mean, and leaves to the scope map
what a group or list of the tool means here: that is asked for, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import TypeAlias

from preference_center.domain.events import Kind

Columns: TypeAlias = tuple[str, ...]
"""Names of one column, the likeliest first. Case, blanks, `-`, `_` and dots don't count."""


class Meaning(StrEnum):
    """What a row can say of an address."""

    OPT_OUT = "opt_out"
    SUBSCRIPTION = "subscription"
    BOUNCE = "bounce"
    """A hard bounce: the mailbox does not exist."""
    COMPLAINT = "complaint"
    """Reported as spam."""

    @property
    def kind(self) -> Kind:
        """The event that it becomes. None of them lifts anything (I5)."""
        return _KINDS[self]


_KINDS = {
    Meaning.OPT_OUT: Kind.OPTED_OUT,
    Meaning.SUBSCRIPTION: Kind.CONSENTED,
    Meaning.BOUNCE: Kind.BOUNCED,
    Meaning.COMPLAINT: Kind.COMPLAINED,
}


class Only(StrEnum):
    """Which of the things that a file says are imported."""

    OPT_OUTS = "opt-outs"
    """Every "no": bounces and complaints too."""
    SUBSCRIPTIONS = "subscriptions"

    def covers(self, meaning: Meaning) -> bool:
        """Whether a row of this meaning is imported."""
        return (meaning is Meaning.SUBSCRIPTION) == (self is Only.SUBSCRIPTIONS)


@dataclass(frozen=True, slots=True)
class When:
    """A condition on one cell: it begins with one of `values`, or is filled if there are none.

    Values are in small letters. `negated` turns it round; a missing cell is empty.
    """

    column: Columns
    values: tuple[str, ...] = ()
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Says:
    """One thing that a row may say, if all of `when` hold.

    The group is the cell of `by`, or `group` where there is none; with `split` the cell
    holds several. With `prefix`, each column so named that holds a yes is a group, called
    by the rest of its name; with `rest`, each that the preset does not name. With `items`
    (JSON), each object of that list says it on its own. `at` is the column of the date.
    """

    meaning: Meaning
    group: str = ""
    by: Columns = ()
    split: str = ""
    prefix: str = ""
    rest: bool = False
    items: Columns = ()
    when: tuple[When, ...] = ()
    at: Columns = ()


@dataclass(frozen=True, slots=True)
class Preset:
    """How to read one kind of file.

    `page` is the vendor's page on it. A file must have the columns of `needs`; one that
    has a column of `lacks` is another preset's. `json_list` leads to the rows in a JSON
    document (as ijson writes paths). Of an `is_open` file only the one who imports it
    knows what its rows say. In an `is_strict` one each row must say something. `bare` files
    may come without a header.
    """

    name: str
    title: str
    page: str
    address: Columns
    says: tuple[Says, ...]
    channel: Columns = ()
    received_at: Columns = ()
    evidence: Mapping[str, Columns] = field(default_factory=dict)
    needs: tuple[Columns, ...] = ()
    lacks: Mapping[str, str] = field(default_factory=dict)
    json_list: str = "item"
    is_open: bool = False
    is_hashed: bool = False
    is_strict: bool = False
    bare: bool = False

    @property
    def known(self) -> frozenset[str]:
        """The plain names of all columns that it reads."""
        columns = [self.address, self.channel, self.received_at, *self.evidence.values()]
        for says in self.says:
            columns += [says.by, says.at, says.items, *(when.column for when in says.when)]
        return frozenset(plain(name) for names in columns for name in names)


@cache
def plain(name: str) -> str:
    """A column's name without what differs from export to export."""
    return name.strip().strip("\ufeff").casefold().translate(_SEPARATORS)


_SEPARATORS = str.maketrans("", "", " -_.")
