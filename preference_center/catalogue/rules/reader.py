"""The reader reads TOML tables so that it finds every fault, not only the first.

A faulty or missing value is recorded and read as None (or empty); the reader goes on,
and `ErrorCollector.raise_if_any` raises at the end, so nothing half-read ever gets out.

`locate_keys` finds where in a TOML text each key stands: tomllib does not keep lines, people need
them. Host names are written as in RFC 1123 2.1. `parse_frame_origins` reads which sites may show a
brand's pages in a frame of theirs; `parse_frequencies` reads how often a topic is offered, from
most to least often.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import TypeAlias, TypeVar

from preference_center.core.errors import CatalogueError, did_you_mean, quote_toml

KeyPath: TypeAlias = tuple[str, ...]
"""The keys from the top of the document down to a value."""


def locate_keys(text: str) -> Mapping[KeyPath, int]:
    """The line (from 1) on which each path of a valid TOML `text` is first written."""
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for line, statement in _statements(text):
        paths = list(_paths(tomllib.loads(statement)))
        is_header = statement.lstrip().startswith("[")
        base: KeyPath = () if is_header else table
        for path in paths:
            lines.setdefault(base + path, line)
        if is_header:
            table = paths[-1]
    return lines


def line_of_key(path: KeyPath, lines: Mapping[KeyPath, int]) -> int:
    """The line of `path`, or of its nearest ancestor that is written; else 1."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


MAX_TEXT_BYTES = 512 * 1024
"""Of a new catalogue, without the files of its brands."""


MAX_KEY_PARTS = 8
"""Of one key, as in `a.b.c`; the deepest that means something has five. tomllib takes time and
memory by the square of them."""


MAX_SYNTAX_ERRORS = 20
"""How many are reported at once: the text is read again after each."""


_PART = r"""(?:[^\s.="'#,\[\]{}]++|"(?:[^"\\\n]|\\[^\n])*+"?|'[^'\n]*+'?)"""
_DOT = r"[ \t]*+\.[ \t]*+"

_TOKEN = re.compile(
    rf'''"""(?:[^"\\]|\\.|"(?!""))*+(?:"""|\Z)'''
    r"""|'''(?:[^']|'(?!''))*+(?:'''|\Z)|\#[^\n]*+"""
    rf"""|(?P<key>{_PART}(?:{_DOT}{_PART})*+)|(?P<open>[\[{{])|(?P<close>[\]}}])|(?P<end>\n)""",
    re.DOTALL,
)
"""Strings, comments, keys (and values that look like one), brackets and ends of lines. No part of
it backtracks, so that any text takes time by its length."""

_LONG_KEY = re.compile(rf"{_PART}(?:{_DOT}{_PART}){{{MAX_KEY_PARTS}}}", re.DOTALL)

_INLINED_FILE = re.compile(r""" "data:[^"\n]*+" | 'data:[^'\n]*+' """, re.VERBOSE)


def is_too_long(text: str) -> bool:
    """Whether the text of a new catalogue has more than MAX_TEXT_BYTES."""
    return len(_INLINED_FILE.sub("", text).encode()) > MAX_TEXT_BYTES


def find_long_keys(text: str) -> list[tuple[int, str]]:
    """Line and description of the first key with too many parts; empty if there is none."""
    for match in _TOKEN.finditer(text):
        if match["key"] and _LONG_KEY.match(match["key"]):
            line = text.count("\n", 0, match.start()) + 1
            return [(line, f"a key has more than {MAX_KEY_PARTS} parts")]
    return []


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """First line and source of each statement; last comes what was never finished.

    A statement of TOML ends with a line, outside of strings and brackets.
    """
    start, first, line, depth = 0, 1, 1, 0
    for match in _TOKEN.finditer(text):
        line += match[0].count("\n")
        depth += (match.lastgroup == "open") - (match.lastgroup == "close")
        if match.lastgroup == "end" and depth <= 0:
            yield first, text[start : match.end()]
            start, first, depth = match.end(), line, 0
    if start < len(text):
        yield first, text[start:]


def _paths(value: object, above: KeyPath = ()) -> Iterator[KeyPath]:
    if isinstance(value, list):  # `[[name]]`, or a list of inline tables
        for item in value:
            yield from _paths(item, above)
    elif isinstance(value, dict):
        for key, below in value.items():
            yield (*above, key)
            yield from _paths(below, (*above, key))


_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)$")


_AT_END = " (at end of document)"


def find_syntax_errors(text: str) -> list[tuple[int, str]]:
    """Line and description of the first syntax faults; empty if `text` is TOML.

    After a fault its line is left out and the rest read again, for as long as the
    next fault stands further down; otherwise it is most likely the same one.
    """
    lines = text.split("\n")
    faults: list[tuple[int, str]] = []
    while len(faults) < MAX_SYNTAX_ERRORS and (fault := _first_syntax_error("\n".join(lines))):
        line, _ = fault
        if faults and line <= faults[-1][0]:
            break
        faults.append(fault)
        is_header = lines[line - 1].lstrip().startswith("[")
        # The keys below a bad header must not land in the table above it.
        lines[line - 1] = f'["line {line}"]' if is_header else ""
    return faults


def _first_syntax_error(text: str) -> tuple[int, str] | None:
    # Again for each reading: without its first line a string is none.
    if found := find_long_keys(text):
        return found[0]
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        if at := _AT_LINE.search(message):
            return int(at[1]), message[: at.start()]
        # Something was opened and never closed: say where it was opened.
        *_, (line, _) = _statements(text)
        return line, message.removesuffix(_AT_END)
    except RecursionError:
        return 1, "Brackets are nested too deeply"
    except ValueError:  # of int(): more than 4,300 digits
        return 1, "A number is too long"
    return None


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


_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"


HOST_NAME = rf"{_LABEL}(?:\.{_LABEL})*"
"""A regular expression for one in small letters; it does not limit the length as a whole."""


_ORIGIN = re.compile(rf"https://{HOST_NAME}(?::[1-9]\d{{0,4}})?")


_ORIGINS_EXAMPLE = '["https://www.example.com"]'


def parse_frame_origins(brand: TomlTable) -> tuple[str, ...]:
    """The origins (RFC 6454) of `frame_origins`; none without it.

    Only whole origins on HTTPS: a wildcard would trust every site that somebody else may put on
    a subdomain, and on plain HTTP anyone on the way could put a page around ours.
    """
    found = brand.get_value("frame_origins", list, _ORIGINS_EXAMPLE)
    if found is None:
        return ()
    for origin in found:
        if not isinstance(origin, str) or not _ORIGIN.fullmatch(origin):
            shown = quote_toml(origin) if isinstance(origin, str) else "a value"
            brand.add_error(
                f"frame_origins has {shown}, which is no origin",
                f"write it in small letters, without path or wildcard: {_ORIGINS_EXAMPLE}",
                "frame_origins",
            )
    return tuple(dict.fromkeys(str(origin) for origin in found))


_KEY = re.compile(r"[a-z][a-z0-9_-]{0,31}")


_FREQUENCIES_EXAMPLE = "{ weekly = ..., monthly = ... }"


_FEWEST = 2


def parse_frequencies(
    topic: TomlTable, languages: Collection[str]
) -> tuple[Mapping[str, LocalizedText], str]:
    """The title of each frequency, in the order of the file, and the key of the default.

    Empty for a topic without. The default is the first where the file names none.
    """
    keys = list(topic.subtable_keys("frequencies"))
    table = topic.subtable("frequencies", keys)
    if table is None:
        if "default_frequency" in topic:
            remedy = f"add frequencies = {_FREQUENCIES_EXAMPLE}, or delete it"
            topic.add_error("default_frequency without frequencies", remedy, "default_frequency")
        return {}, ""
    for key in keys:
        if not _KEY.fullmatch(key):
            remedy = "use 1 to 32 of a-z 0-9 _ - and begin with a letter"
            table.add_error(f"{quote_toml(key)} is no good key", remedy, key)
    if len(keys) < _FEWEST:
        topic.add_error(
            "frequencies offers no choice", "name two or more, from most to least often",
            "frequencies",
        )  # fmt: skip
    titles = {key: table.get_localized_text(key, languages, required=True) for key in keys}
    return titles, _parse_default(topic, keys)


def _parse_default(topic: TomlTable, keys: Collection[str]) -> str:
    first = next(iter(keys), "")
    default = topic.get_text("default_frequency", first)
    if default is None or default in keys:
        return default or first
    remedy = did_you_mean(default, keys) or f"choose one of {', '.join(keys)}"
    what = f"default_frequency {quote_toml(default)} is not among the frequencies"
    topic.add_error(what, remedy, "default_frequency")
    return first


def describe_frequencies(frequencies: Mapping[str, LocalizedText]) -> dict[str, str]:
    """Their order, which has a meaning, and each title."""
    titles = {
        f"frequencies.{key}.{language}": f'"{text}"'
        for key, texts in frequencies.items()
        for language, text in texts.items()
    }
    return {"frequencies": ", ".join(frequencies), **titles} if frequencies else {}
