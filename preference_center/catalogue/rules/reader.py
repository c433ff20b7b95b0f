"""Reading TOML tables so that every fault is found, not only the first.

A faulty or missing value is recorded and read as None (or empty); the reader goes on,
and `ErrorCollector.raise_if_any` raises at the end, so nothing half-read ever gets out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import TypeAlias, TypeVar

from preference_center.catalogue.rules.toml_lines import KeyPath, line_of_key
from preference_center.core.errors import CatalogueError, did_you_mean, quote_toml

E = TypeVar("E", bound=StrEnum)
V = TypeVar("V")

LocalizedText: TypeAlias = Mapping[str, str]
"""One text per language, by language tag (BCP 47, e.g. `it`)."""

_TYPE_NAMES: Mapping[type, str] = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "a table",
    date: "a date",
}

_NO_BREAK_SPACE = re.compile("[\u00a0\u202f]")
"""Printable to people, and required before French punctuation."""
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class ErrorCollector:
    """Collects faults with the line each stands on."""

    def __init__(self, lines: Mapping[KeyPath, int]) -> None:
        self._lines = lines
        self._found: list[tuple[int, str]] = []

    def add(self, path: KeyPath, problem: str, remedy: str) -> None:
        """Record a fault of what stands, or should stand, at `path`."""
        line = line_of_key(path, self._lines)
        self._found.append((line, f"line {line}: {problem}; {remedy}"))

    def raise_if_any(self) -> None:
        """Raise CatalogueError if there was any, in the order of the file."""
        if self._found:
            raise CatalogueError([text for _, text in sorted(self._found, key=lambda f: f[0])])


class TomlTable:
    """One table of the file, of which exactly `fields` are known."""

    def __init__(
        self, path: KeyPath, raw: object, fields: Collection[str], errors: ErrorCollector
    ) -> None:
        self.path = path
        self._errors = errors
        self._content: Mapping[str, object] = {}
        if isinstance(raw, dict):
            self._content = raw
        else:
            self.add_error(
                f"{describe_table(path)} is {_type_name(raw)}, not a table",
                f"begin it with [{dotted_key(path)}]",
            )
        for key in self._content:
            if key not in fields:
                remedy = did_you_mean(key, fields) or f"known here: {', '.join(fields)}"
                self.add_error(
                    f"{describe_table(path)} has an unknown key {quote_toml(key)}", remedy, key
                )

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def is_table(self, key: str) -> bool:
        """Whether a table stands under `key`, for what may be a table or a plain value."""
        return isinstance(self._content.get(key), dict)

    def add_error(self, problem: str, remedy: str, key: str | None = None) -> None:
        """Record a fault of this table, or of one key in it."""
        self._errors.add(self.path if key is None else (*self.path, key), problem, remedy)

    def subtable_keys(self, key: str) -> Collection[str]:
        """The keys of a table in this one; none if it is missing or no table."""
        below = self._content.get(key)
        return below.keys() if isinstance(below, dict) else ()

    def subtables(self, key: str, fields: Collection[str]) -> Iterator[tuple[str, TomlTable]]:
        """The tables of a table of tables, e.g. each `[topics.<key>]`."""
        for entry, raw in (self.get_value(key, dict, "") or {}).items():
            path = (*self.path, key, entry)
            if isinstance(raw, dict) and raw and _unquoted_dots(raw, fields):
                whole = dotted_key((*path[:-1], f"{entry}.{next(iter(raw))}"))
                self._errors.add(
                    (*path, next(iter(raw))),
                    f"{describe_table(path)} holds only further tables",
                    f"if its key has dots, put it in quotes: [{whole}]",
                )
            else:
                yield entry, TomlTable(path, raw, fields, self._errors)

    def subtable(
        self, key: str, fields: Collection[str], *, required: bool = False
    ) -> TomlTable | None:
        """The table that stands under one key of this one, of which `fields` are known."""
        example = "{ " + ", ".join(f"{name} = ..." for name in fields) + " }"
        if self.get_value(key, dict, example, required=required) is None:
            return None
        return TomlTable((*self.path, key), self._content[key], fields, self._errors)

    def get_value(
        self, key: str, kind: type[V], example: str, *, required: bool = False
    ) -> V | None:
        """The value of `key` if it is of this type."""
        if key not in self._content:
            if required:
                self.add_error(
                    f"{describe_table(self.path)} has no {key}", f"add {key} = {example}"
                )
            return None
        found = self._content[key]
        if isinstance(found, kind) and (kind is bool or not isinstance(found, bool)):
            return found  # in Python, true is an int
        remedy = (
            f"write {key} = {example}"
            if example
            else f"begin each with [{dotted_key((*self.path, key))}.<key>]"
        )
        self.add_error(f"{key} is {_type_name(found)}, not {_TYPE_NAMES[kind]}", remedy, key)
        return None

    def get_text(self, key: str, example: str, *, required: bool = False) -> str | None:
        """One line of text that is not empty."""
        found = self.get_value(key, str, quote_toml(example), required=required)
        if found is None:
            return None
        if not found.strip():
            self.add_error(f"{key} is empty", f"write {key} = {quote_toml(example)}", key)
        elif not _NO_BREAK_SPACE.sub("", found).isprintable():
            self.add_error(f"{key} holds a line break or control character", "delete it", key)
        else:
            return found
        return None

    def get_bool(self, key: str) -> bool:
        """True or false; false if missing."""
        return self.get_value(key, bool, "true") or False

    def get_int(self, key: str, minimum: int, maximum: int, example: int) -> int | None:
        """A whole number from `low` to `high`."""
        found = self.get_value(key, int, str(example))
        if found is None:
            return None
        if isinstance(found, bool):  # which is an int to Python
            self.add_error(
                f"{key} is {_type_name(found)}, not a number", f"write {key} = {example}", key
            )
        elif minimum <= found <= maximum:
            return found
        else:
            self.add_error(
                f"{key} can't be {found}", f"write a number from {minimum} to {maximum}", key
            )
        return None

    def get_date(self, key: str, *, required: bool = False) -> date | None:
        """A day, without a time."""
        found = self.get_value(key, date, "2027-01-01", required=required)
        if isinstance(found, datetime):  # which is a date to Python
            self.add_error(f"{key} has a time of day", f"write {key} = {found:%Y-%m-%d}", key)
            return None
        return found

    def get_raw(self, key: str) -> object:
        """What stands under `key`, of whatever type."""
        return self._content[key]

    def get_choice(self, key: str, choices: type[E], *, required: bool = False) -> E | None:
        """One of a few words."""
        words = [str(choice) for choice in choices]
        found = self.get_value(key, str, quote_toml(words[0]), required=required)
        if found is None or found in words:
            return None if found is None else choices(found)
        remedy = did_you_mean(found, words) or f"choose one of {', '.join(words)}"
        self.add_error(f"{key} can't be {quote_toml(found)}", remedy, key)
        return None

    def get_reference(
        self, key: str, table_name: str, declared: Collection[str], *, required: bool
    ) -> str | None:
        """The key of a declared item; `table_name` is the table that declares it."""
        found = self.get_value(key, str, quote_toml(next(iter(declared), "...")), required=required)
        if found is None or found in declared:
            return found
        declare = f"declare [{dotted_key((table_name, found))}]"
        remedy = did_you_mean(found, declared) or declare
        self.add_error(f"{key} {quote_toml(found)} is not declared", remedy, key)
        return None

    def get_localized_text(
        self,
        key: str,
        languages: Collection[str],
        *,
        required: bool = False,
        allow_plain: bool = False,
    ) -> dict[str, str]:
        """One text for each of `languages`; with `allow_plain`, a bare text counts for all."""
        if allow_plain and isinstance(self._content.get(key), str):
            text = self.get_text(key, "...")
            return dict.fromkeys(languages, text) if text else {}
        if not languages:  # they are faulty themselves; one fault is enough
            return {}
        example = "{ " + ", ".join(f'{language} = "..."' for language in languages) + " }"
        if self.get_value(key, dict, example, required=required) is None:
            return {}
        below = TomlTable((*self.path, key), self._content[key], languages, self._errors)
        found = {language: below.get_text(language, "...", required=True) for language in languages}
        return {language: text for language, text in found.items() if text}


def _unquoted_dots(raw: Mapping[str, object], fields: Collection[str]) -> bool:
    """`[topics.news.product]` means a table `product` in `news`, not a key with a dot."""
    return all(key not in fields and isinstance(below, dict) for key, below in raw.items())


def _type_name(value: object) -> str:
    return _TYPE_NAMES.get(type(value), "a date or time")


def dotted_key(path: KeyPath) -> str:
    """A path as TOML writes it."""
    return ".".join(key if _BARE_KEY.fullmatch(key) else quote_toml(key) for key in path)


def describe_table(path: KeyPath) -> str:
    """What to call the table at `path` in a message."""
    return f"[{dotted_key(path)}]" if path else "the file"
