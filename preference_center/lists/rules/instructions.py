"""These classes hold what a person states about a file to import, and the counts of an import.

The scope map states what each group or list of the other tool means here. It is required and never
guessed: a group called "News" may be one topic, or everything that the company sends.

`ImportStats` are the counts that `plan` predicts, and those of `apply`.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from preference_center.catalogue import Catalogue
from preference_center.core.addresses import Channel
from preference_center.core.errors import InvalidInput, MissingScopes, UnknownTopic, quote_toml
from preference_center.core.events import ALL_MARKETING, SHARING
from preference_center.integrations.base.presets import ImportPreset, MeaningFilter, RowMeaning
from preference_center.lists.rules.rows import DateFormat, UnreadableDates, parse_date_format

ENCODINGS = ("utf-8", "cp1252", "iso-8859-1", "iso-8859-15")
"""Encodings that can be stated, in which line ends can be found in the bytes."""


NO_GROUP_COLUMN = "-"
"""As the group column: no column names the group or list of a row."""


LEAVE_OUT = "leave_out"
"""In place of a scope: rows of this group are not imported."""


_MAX_SHOWN_GROUPS = 50


@dataclass(frozen=True, slots=True)
class ScopeMap:
    """Group -> topic, `all_marketing`, `sharing` or `leave_out`.

    Ignores case and surrounding spaces.
    """

    scopes: Mapping[str, str]

    def scope_of(self, group: str) -> str | None:
        """What the group means here; None if the map does not contain it."""
        return self.scopes.get(_normalize_group(group))

    def unused_groups(self, groups: Iterable[str]) -> list[str]:
        """Groups that the map contains and the file does not."""
        found = {_normalize_group(group) for group in groups}
        return sorted(group for group in self.scopes if group not in found)

    def validate(self, catalogue: Catalogue) -> None:
        """Raises UnknownTopic unless each scope is one of the catalogue."""
        for group, scope in self.scopes.items():
            if scope not in {ALL_MARKETING, SHARING, LEAVE_OUT}:
                try:
                    catalogue.topic(scope)
                except UnknownTopic as error:
                    raise UnknownTopic(
                        f"{quote_toml(group)} = {quote_toml(scope)}: {error}"
                    ) from None


def build_scope_map(pairs: Iterable[tuple[str, str]]) -> ScopeMap:
    """The map of these groups and scopes. Raises InvalidInput if a group has two scopes."""
    entries: dict[str, str] = {}
    for group, scope in pairs:
        if entries.setdefault(_normalize_group(group), scope.strip()) != scope.strip():
            raise InvalidInput(f"the group {quote_toml(group)} has two scopes: delete one")
    return ScopeMap(entries)


def parse_scope(text: str) -> tuple[str, str]:
    """`Group 123=newsletter.product` -> the group and the scope. Raises InvalidInput."""
    group, sign, scope = text.rpartition("=")
    if not sign or not group.strip() or not scope.strip():
        raise InvalidInput(f"{quote_toml(text)}: write GROUP=SCOPE, e.g. {_example('Group 123')}")
    return group, scope


def parse_scope_file(text: str) -> list[tuple[str, str]]:
    """The pairs of a scope map in TOML: `"Group 123" = "newsletter.product"` under `[scopes]`.

    Raises InvalidInput with what to fix.
    """
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"the scope map is not TOML: {error}") from None
    table = found.get("scopes")
    if set(found) != {"scopes"} or not isinstance(table, dict):
        raise InvalidInput(
            'the scope map has one table [scopes], with lines such as "Group 123" = "all_marketing"'
        )
    for group, scope in table.items():
        if not isinstance(scope, str):
            raise InvalidInput(
                f"the scope of {quote_toml(group)} is not text; if the group has dots, put it "
                "in quotes"
            )
    return list(table.items())


def missing_scopes_error(
    groups: Mapping[tuple[RowMeaning, str], int], topics: Collection[str]
) -> MissingScopes:
    """The error that names the groups without a scope, with an example to copy."""
    shown = sorted(groups.items(), key=lambda item: -item[1])[:_MAX_SHOWN_GROUPS]
    lines = ["These groups of the file have no scope yet, and scopes are not guessed:"]
    lines += [f"  {count:>9,}  {meaning}  {quote_toml(group)}" for (meaning, group), count in shown]
    if len(groups) > len(shown):
        lines.append(f"  and {len(groups) - len(shown)} more")
    lines.append("Set the scope of each: a topic, all_marketing, sharing, or leave_out.")
    lines.append(f"Topics: {', '.join(topics)}" if topics else "The catalogue has no topic yet.")
    return MissingScopes("\n".join(lines), _suggested_scope_map([key for key, _ in shown], topics))


def _suggested_scope_map(groups: Iterable[tuple[RowMeaning, str]], topics: Collection[str]) -> str:
    """A suggested scope map of these groups."""
    topic = next(iter(topics), "a.topic")
    meant: dict[str, str] = {}
    for meaning, group in groups:
        scope = topic if meaning is RowMeaning.SUBSCRIPTION else ALL_MARKETING
        named = group if group in topics else scope  # as in an export of our own
        meant[group] = topic if meant.get(group) == topic else named
    rows = [
        f"{json.dumps(group, ensure_ascii=False)} = {quote_toml(s)}" for group, s in meant.items()
    ]
    return "\n".join(["[scopes]", *rows])


def _example(group: str) -> str:
    return f'"{group}=all_marketing"'


def _normalize_group(group: str) -> str:
    return group.strip().casefold()


_PLAN_DIGITS = 12


_STORED_NAMES = {"meaning_filter": "as", "zone": "time_zone"}


_FIELD_NAMES = {
    **{stored: name for name, stored in _STORED_NAMES.items()},
    "only": "meaning_filter",
    "column": "address_column",
}
"""The field of each name in the API, forms and `ImportInstructions.to_json` that is another."""


class LegalBasis(StrEnum):
    """The legal basis for writing to a person."""

    CONSENT = "consent"
    EXISTING_CUSTOMER = "existing_customer"
    """Similar products, until the person objects (Directive 2002/58/EC 13(2))."""


@dataclass(frozen=True, slots=True)
class ImportInstructions:
    """How to read a file, and what it does not state itself.

    `source`, `wording`, `language` and `legal_basis` apply to rows that have none. `zone` (IANA)
    is the zone of times without one; `date_formats` are read besides those of every file.
    `address_column`, `date_column` and `group_column` name columns of the file that have no usual
    name; with NO_GROUP_COLUMN all rows are of one group, whatever columns the file has.
    `received_at` is when the list reached the company, if that is not now.
    """

    preset: ImportPreset
    scopes: ScopeMap
    meaning_filter: MeaningFilter | None = None
    channel: Channel = Channel.EMAIL
    source: str = ""
    wording: str = ""
    language: str = ""
    legal_basis: LegalBasis | None = None
    zone: str = "UTC"
    encoding: str = "utf-8"
    received_at: datetime | None = None
    address_column: str = ""
    date_column: str = ""
    group_column: str = ""
    date_formats: tuple[DateFormat, ...] = ()
    unreadable_dates: UnreadableDates = UnreadableDates.REFUSE

    def check(self) -> None:
        """Raises InvalidInput if something is missing that only a person can decide."""
        if self.preset.requires_meaning and self.meaning_filter is None:
            raise InvalidInput(
                f"a file of {self.preset.name} does not state the meaning of its rows:"
                " choose opt-outs or subscriptions"
            )
        if self.preset.is_hashed and self.meaning_filter is MeaningFilter.SUBSCRIPTIONS:
            raise InvalidInput("a hash can't be subscribed: choose opt-outs")
        if self.date_column and not any(each.date_columns for each in self.preset.meanings):
            raise InvalidInput(
                f"a file of {self.preset.name} has no dates: use the preset generic-list"
            )

        if self.group_column not in ("", NO_GROUP_COLUMN) and not self.preset.has_groups:
            raise InvalidInput(f"a file of {self.preset.name} has no column with the group")

    def default_evidence(self, name: str) -> str:
        """The evidence of this name for rows that have none."""
        return str(getattr(self, name) or "")

    def to_json(self) -> dict[str, Any]:
        """The JSON that is stored. Contains no personal data."""
        stored = {_STORED_NAMES.get(each.name, each.name): each.name for each in fields(self)}
        return {name: getattr(self, field) for name, field in stored.items()} | {
            "preset": self.preset.name,
            "scopes": dict(self.scopes.scopes),
            "received_at": self.received_at and self.received_at.isoformat(),
            "date_formats": [each.pattern for each in self.date_formats],
        }

    @classmethod
    def parse(
        cls,
        given: Mapping[str, Any],
        preset: ImportPreset,
        scopes: ScopeMap,
        collect: Callable[..., Any] = lambda _name, parse, value: parse(value),
    ) -> ImportInstructions | None:
        """What a form, a request, a command or the output of `to_json` states.

        `given` has the values, or texts, by the names of the API or those of `to_json`; what is
        empty has its default. `collect(name, parse, value)` calls `parse` and returns its result;
        if it notes an error, it returns None, and so does this. Raises what `collect` raises.
        """
        values: dict[str, Any] = {}
        for name, value in given.items():
            field_name = _FIELD_NAMES.get(name, name)
            if value and field_name in _PARSERS:
                values[field_name] = collect(name, _PARSERS[field_name], value)
        if None in values.values():
            return None
        return cls(preset, scopes, **values)

    def plan_id(self, file_digest: bytes) -> str:
        """A short id of these instructions for that file; it changes if either does."""
        instructions_json = json.dumps(self.to_json(), sort_keys=True).encode()
        return hashlib.sha256(file_digest + instructions_json).hexdigest()[:_PLAN_DIGITS]


def _parse_time_zone(name: str) -> str:
    """Raises InvalidInput unless it is the IANA name of a time zone."""
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput("not a known time zone; use e.g. Europe/Rome") from None


def _parse_encoding(name: str) -> str:
    if name not in ENCODINGS:
        raise InvalidInput(f"unknown encoding; use one of {', '.join(ENCODINGS)}")
    return name


def _parse_time(given: datetime | str) -> datetime:
    at = datetime.fromisoformat(given) if isinstance(given, str) else given
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _parse_date_formats(patterns: Iterable[str]) -> tuple[DateFormat, ...]:
    return tuple(map(parse_date_format, patterns))


_PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "meaning_filter": MeaningFilter,
    "channel": Channel,
    "legal_basis": LegalBasis,
    "zone": _parse_time_zone,
    "encoding": _parse_encoding,
    "received_at": _parse_time,
    "date_formats": _parse_date_formats,
    "unreadable_dates": UnreadableDates,
    **dict.fromkeys(("source", "wording", "language"), str),
    **dict.fromkeys(("address_column", "date_column", "group_column"), str),
}


NOTHING_LIFTED = "Nothing is lifted: an import can only add."


@dataclass(slots=True)
class ImportStats:
    """Counts of rows, and of their statements.

    `new` and `already_present` are by meaning and scope; the latter are in the ledger already.
    `undated` opt-outs had no readable date and count from the time of the import.
    `without_country_code` are new ones of phone numbers that were read as dialled in PHONE_REGION.
    `other_readings` are new opt-outs of cells that may mean several addresses, less the first.
    `still_suppressed` are new subscriptions of people who have opted out: nothing is lifted.
    """

    rows: int = 0
    without_data: int = 0
    excluded: int = 0
    refused: int = 0
    undated: int = 0
    without_country_code: int = 0
    other_readings: int = 0
    without_evidence: int = 0
    still_suppressed: int = 0
    new: Counter[tuple[RowMeaning, str]] = field(default_factory=Counter)
    already_present: Counter[tuple[RowMeaning, str]] = field(default_factory=Counter)

    @property
    def total_new(self) -> int:
        """The number of new statements."""
        return self.new.total()

    @property
    def total_already_present(self) -> int:
        """The number of statements that the ledger already has."""
        return self.already_present.total()

    def add(self, other: ImportStats) -> None:
        """Add the counts of `other`."""
        for name in _COUNT_FIELDS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.new.update(other.new)
        self.already_present.update(other.already_present)

    def to_json(self) -> dict[str, Any]:
        """The JSON that is stored, and returned by the API."""
        return {
            **{name: getattr(self, name) for name in _COUNT_FIELDS},
            "new": _counter_to_json(self.new),
            "already_present": _counter_to_json(self.already_present),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> ImportStats:
        """Parse the output of `to_json`; missing counts are 0."""
        plain = {name: stored.get(name, 0) for name in _COUNT_FIELDS}
        new, present = (
            _counter_from_json(stored.get("new")),
            _counter_from_json(stored.get("already_present")),
        )
        return cls(**plain, new=new, already_present=present)

    def report_lines(self) -> Iterator[str]:
        """The lines that commands print."""
        yield f"{self.rows:>12,}  rows read"
        yield f"{self.total_new:>12,}  new"
        yield from (f"{count:>12,}    {_label(key)}" for key, count in sorted(self.new.items()))
        yield f"{self.total_already_present:>12,}  already present"
        yield from (
            f"{count:>12,}    {_label(key)}" for key, count in sorted(self.already_present.items())
        )
        yield f"{self.refused:>12,}  refused"
        for count, what in (
            (self.without_data, "rows without data for an import"),
            (self.excluded, "excluded by the instructions"),
            (
                self.undated,
                "opt-outs, bounces and complaints without a date: they count from the import",
            ),
            (
                self.without_country_code,
                "phone numbers without a country code, read as dialled in PHONE_REGION",
            ),
            (
                self.other_readings,
                "more opt-outs, of cells with several addresses or an apostrophe before one",
            ),
            (self.without_evidence, "new subscriptions without evidence, recorded as unproven"),
        ):
            if count:
                yield f"{count:>12,}  {what}"
        yield NOTHING_LIFTED
        if self.still_suppressed:
            yield (
                f"{self.still_suppressed:,} of the new subscriptions stay off: these people "
                "have opted out."
            )


_COUNT_FIELDS = (
    "rows", "without_data", "excluded", "refused", "undated", "without_country_code",
    "other_readings", "without_evidence",
    "still_suppressed",
)  # fmt: skip


def _label(key: tuple[RowMeaning, str]) -> str:
    return f"{key[0]} of {key[1]}"


def _counter_to_json(counter: Counter[tuple[RowMeaning, str]]) -> list[dict[str, Any]]:
    return [
        {"meaning": meaning.value, "scope": scope, "count": count}
        for (meaning, scope), count in sorted(counter.items())
    ]


def _counter_from_json(stored: Any) -> Counter[tuple[RowMeaning, str]]:
    return Counter(
        {(RowMeaning(each["meaning"]), each["scope"]): each["count"] for each in stored or ()}
    )
