"""Where in a TOML text each key stands: tomllib does not keep lines, people need them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import TypeAlias

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


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """First line and source of each statement; last comes what was never finished.

    A statement of TOML is the shortest run of whole lines that parses on its own: a
    line can end one only outside of strings and brackets. So tomllib itself splits
    the text, and no second grammar is needed.
    """
    start, statement = 1, ""
    for number, line in enumerate(text.split("\n"), start=1):
        statement += line + "\n"
        try:
            tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        yield start, statement
        start, statement = number + 1, ""
    if statement:
        yield start, statement


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
    """Line and description of each syntax fault; empty if `text` is TOML.

    After a fault its line is left out and the rest read again, for as long as the
    next fault stands further down; otherwise it is most likely the same one.
    """
    lines = text.split("\n")
    faults: list[tuple[int, str]] = []
    while fault := _first_syntax_error("\n".join(lines)):
        line, _ = fault
        if faults and line <= faults[-1][0]:
            break
        faults.append(fault)
        is_header = lines[line - 1].lstrip().startswith("[")
        # The keys below a bad header must not land in the table above it.
        lines[line - 1] = f'["line {line}"]' if is_header else ""
    return faults


def _first_syntax_error(text: str) -> tuple[int, str] | None:
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
    return None
