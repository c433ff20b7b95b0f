"""A preset states what a list of one tool looks like, and what its rows mean.

A preset is data. It names columns and the meaning of their cells. What a group or list of the
tool means here is left to the scope map: the user states it, it is never guessed.

The presets at the end are for lists of no particular tool: plain addresses, hashes of addresses,
and our own columns. docs/imports.md is their reference. A hash is that of the address in lower
case, without surrounding spaces, in hexadecimal (`core.addresses`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import TypeAlias

from preference_center.core.events import EventKind
from preference_center.core.tabular import address_column_names, normalize_column_name

ColumnNames: TypeAlias = tuple[str, ...]
"""Names of one column, the likeliest first, compared by `normalize_column_name`."""


class RowMeaning(StrEnum):
    """What a row can state about an address."""

    OPT_OUT = "opt_out"
    SUBSCRIPTION = "subscription"
    BOUNCE = "bounce"
    """A hard bounce: the mailbox does not exist."""
    COMPLAINT = "complaint"
    """Reported as spam."""

    @property
    def kind(self) -> EventKind:
        """The kind of event that it becomes. None of them lifts anything (I5)."""
        return _KINDS[self]


_KINDS = {
    RowMeaning.OPT_OUT: EventKind.OPTED_OUT,
    RowMeaning.SUBSCRIPTION: EventKind.CONSENTED,
    RowMeaning.BOUNCE: EventKind.BOUNCED,
    RowMeaning.COMPLAINT: EventKind.COMPLAINED,
}


class MeaningFilter(StrEnum):
    """Which statements of a file are imported."""

    OPT_OUTS = "opt-outs"
    """Every opt-out, bounces and complaints included."""
    SUBSCRIPTIONS = "subscriptions"

    def covers(self, meaning: RowMeaning) -> bool:
        """Whether a row of this meaning is imported."""
        return (meaning is RowMeaning.SUBSCRIPTION) == (self is MeaningFilter.SUBSCRIPTIONS)


@dataclass(frozen=True, slots=True)
class CellCondition:
    """A condition on one cell: it begins with one of `prefixes`; without any, it is not empty.

    With `is_whole` it is one of them. Prefixes are in lower case. `negated` inverts the condition;
    a missing cell is empty.
    """

    columns: ColumnNames
    prefixes: tuple[str, ...] = ()
    negated: bool = False
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class ColumnMeaning:
    """One statement that a row makes if all `conditions` hold.

    The group is the cell of `group_columns`, or `default_group` if that is empty; with
    `group_separator` the cell contains several. With `group_column_words`, each other column whose
    name contains one of them and whose cell is true is a group, named by what follows a colon, or
    by all of its name; with `other_columns_are_groups`, each column that the preset does not name.
    With `list_columns` (JSON), each object of that list makes the statement. `date_columns` hold
    its date.
    """

    meaning: RowMeaning
    default_group: str = ""
    group_columns: ColumnNames = ()
    group_separator: str = ""
    group_column_words: ColumnNames = ()
    other_columns_are_groups: bool = False
    list_columns: ColumnNames = ()
    conditions: tuple[CellCondition, ...] = ()
    date_columns: ColumnNames = ()

    def has_group_column(self, keys: Collection[str]) -> bool:
        """Whether one of these columns (normalized names) has one of `group_column_words`."""
        words = [normalize_column_name(word) for word in self.group_column_words]
        return any(word in key for word in words for key in keys)


opt_out = partial(ColumnMeaning, RowMeaning.OPT_OUT)
subscription = partial(ColumnMeaning, RowMeaning.SUBSCRIPTION)
bounce = partial(ColumnMeaning, RowMeaning.BOUNCE)
complaint = partial(ColumnMeaning, RowMeaning.COMPLAINT)


@dataclass(frozen=True, slots=True)
class ImportPreset:
    """How to read one kind of file.

    With `has_any_columns` the file is of no tool, so that any column may name the group of a row.

    `docs_url` is the vendor's page about it. A file must have the `required_columns`; one with a
    column of `excluded_columns` belongs to the preset named there. `json_rows_path` leads to the
    rows in a JSON document (in ijson's notation). With `detects_address` the column of the
    address is found as in any list (`core.tabular`). With `requires_meaning` the user must state
    what rows mean. With `is_strict` each row must make a statement. With `header_optional` files
    may lack a header.
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
    has_any_columns: bool = False
    detects_address: bool = False

    def missing_columns(self, keys: Collection[str]) -> Iterator[ColumnNames]:
        """The columns that a file with these (normalized names) lacks, each with all its names.

        A column with an opt-out that is called otherwise is a group by its words.
        """
        named = any(meaning.has_group_column(keys) for meaning in self.meanings)
        for columns in (self.address_columns, *(() if named else self.required_columns)):
            if not any(normalize_column_name(name) in keys for name in columns):
                yield columns

    @property
    def has_groups(self) -> bool:
        """Whether some rows are of a group that a column may name."""
        return any(meaning.default_group for meaning in self.meanings)

    @property
    def known_columns(self) -> frozenset[str]:
        """The normalized names of all columns that it reads."""
        columns = [
            self.address_columns,
            self.channel_columns,
            self.received_at_columns,
            *self.evidence_columns.values(),
        ]
        for meaning in self.meanings:
            columns += [
                meaning.group_columns,
                meaning.date_columns,
                meaning.list_columns,
                *(when.columns for when in meaning.conditions),
            ]
        return frozenset(normalize_column_name(name) for names in columns for name in names)


_ADDRESS = tuple(
    dict.fromkeys(("address", *(name for group in address_column_names() for name in group)))
)


_STATUS = ("status",)


# "Subscription cancelled" and "consent withdrawn" are none.
_SUBSCRIBED = ("subscribed", "subscribe", "sub", "subscriber", "consent", "consented")


TRUE_WORDS = (*("true", "yes", "wahr", "ja", "vrai", "oui", "vero", "sì", "verdadero", "sí", "si"),)
"""Yes, in lower case: English, German, French, Italian, Spanish."""


FALSE_WORDS = ("false", "no", "falsch", "nein", "faux", "non", "falso")
"""No, in the same languages."""


STATED_GROUP = "-"
"""The key, in the cells of a row, of the group column that the user names.

No column has it: normalized names contain no dash.
"""


GROUP_COLUMN_NAMES = (
    *("group", "group name", "list", "list name", "lists", "mailing list", "audience", "segment"),
    *("gruppe", "gruppenname", "liste", "listenname", "listen", "verteiler", "mailingliste"),
    *("verteilerliste", "zielgruppe"),
    *("groupe", "nom du groupe", "nom de la liste", "listes", "liste de diffusion"),
    *("gruppo", "nome gruppo", "nome del gruppo", "lista", "nome lista", "nome della lista"),
    *("liste di distribuzione", "lista di distribuzione", "segmento"),
    *("grupo", "nombre del grupo", "nombre de la lista", "listas", "lista de correo"),
    *("lista de distribución", "lista de distribucion", "audiencia"),
)
"""Names of the column with the group or list: English, German, French, Italian, Spanish."""


_GROUP = (*GROUP_COLUMN_NAMES, "scope")


_OCCURRED_AT = ("occurred_at", "date")


_OPTED_OUT_AT = (
    *_OCCURRED_AT,
    *("opted_out_at", "opt_out_at", "opted_out_on", "opt_out_date", "opt_out_time"),
    *("unsubscribed_at", "unsubscribed_on", "unsubscribe_date", "unsubscribe_time"),
    *("unsubscribed_date", "date_unsubscribed"),
)


_SUBSCRIBED_AT = (
    *_OCCURRED_AT,
    *("subscribed_at", "subscribed_on", "subscribe_date", "subscription_date"),
    *("opted_in_at", "opt_in_at", "opt_in_date", "consented_at", "consent_date"),
)


_EVIDENCE = {name: (name,) for name in ("source", "wording", "language", "legal_basis", "policy")}


_OPT_OUT = opt_out(default_group="list", group_columns=_GROUP, date_columns=_OPTED_OUT_AT)


_SUBSCRIPTION = subscription(
    default_group="list", group_columns=_GROUP, date_columns=_SUBSCRIBED_AT
)


PRESETS = (
    ImportPreset(
        name="addresses",
        has_any_columns=True,
        title="Plain list: one address to a line, with or without a header",
        docs_url="docs/imports.md",
        address_columns=_ADDRESS,
        detects_address=True,
        meanings=(
            opt_out(default_group="list"),
            subscription(default_group="list"),
        ),
        excluded_columns=dict.fromkeys((*_OPTED_OUT_AT, *_SUBSCRIBED_AT), "generic-list"),
        requires_meaning=True,
        header_optional=True,
    ),
    ImportPreset(
        name="hashes",
        has_any_columns=True,
        title="Plain list of SHA-256 or MD5 hashes of addresses that opted out",
        docs_url="docs/imports.md",
        address_columns=(
            "hash",
            "sha256",
            "md5",
            "email",
            "email_sha256",
            "email_md5",
            "hashed_email",
        ),
        meanings=(opt_out(default_group="list"),),
        is_hashed=True,
        header_optional=True,
    ),
    ImportPreset(
        name="generic",
        has_any_columns=True,
        title="Our own columns, CSV or NDJSON: the status in each row, its date and its evidence",
        docs_url="docs/imports.md",
        address_columns=_ADDRESS,
        detects_address=True,
        channel_columns=("channel",),
        received_at_columns=("received_at",),
        evidence_columns=_EVIDENCE,
        meanings=(
            replace(
                _OPT_OUT,
                conditions=(
                    CellCondition(_STATUS, ("opted_out", "opt_out", "opt-out", "optout", "unsub")),
                ),
            ),
            replace(
                _SUBSCRIPTION, conditions=(CellCondition(_STATUS, _SUBSCRIBED, is_whole=True),)
            ),
            bounce(
                date_columns=_OCCURRED_AT, conditions=(CellCondition(_STATUS, ("bounce", "hard")),)
            ),
            complaint(
                default_group="list",
                group_columns=_GROUP,
                date_columns=_OCCURRED_AT,
                conditions=(CellCondition(_STATUS, ("compl", "spam")),),
            ),
        ),
        required_columns=(_STATUS,),
        is_strict=True,
    ),
    ImportPreset(
        name="generic-list",
        has_any_columns=True,
        title="Our own columns without `status`: every row has the meaning that --meaning names",
        docs_url="docs/imports.md",
        address_columns=_ADDRESS,
        detects_address=True,
        channel_columns=("channel",),
        received_at_columns=("received_at",),
        evidence_columns=_EVIDENCE,
        meanings=(_OPT_OUT, _SUBSCRIPTION),
        excluded_columns={"status": "generic"},
        requires_meaning=True,
    ),
)
