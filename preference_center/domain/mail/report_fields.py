"""Groups of fields, as delivery and feedback reports have them (RFC 3464 2.1, RFC 5965 3)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias

Group: TypeAlias = Mapping[str, list[str]]
"""Names in lower case -> values, unfolded."""

_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,60})[ \t]*:[ \t]*(.*)")
_LONGEST = 4000  # characters of a value
_RECIPIENT = {"original-recipient", "final-recipient", "x-actual-recipient"}
_ONCE = {"original-recipient", "final-recipient", "action", "status"}
_FATE = {"action", "status"}


def fields(text: str) -> Group:
    """All fields of a text, blank lines or not."""
    found: dict[str, list[str]] = {}
    for name, value in _lines(text):
        if name:
            found.setdefault(name, []).append(value)
    return found


def recipient_groups(text: str) -> Iterator[Group]:
    """The groups of a delivery report that are about one recipient each.

    A new one begins where a field stands again that a group has but once, or where another
    recipient is named after a blank line. Blank lines alone end nothing: gateways double
    line ends.
    """
    group: dict[str, list[str]] = {}
    blank = False
    for name, value in _lines(text):
        if not name:
            blank = True
            continue
        if (name in _ONCE and name in group) or (blank and name in _RECIPIENT and _is_whole(group)):
            if _is_whole(group):
                yield group
            group = {}
        blank = blank and name not in _RECIPIENT
        group.setdefault(name, []).append(value)
    if _is_whole(group):
        yield group


def _is_whole(group: Group) -> bool:
    return bool(_RECIPIENT & group.keys()) and bool(_FATE & group.keys())


def first(group: Group, name: str) -> str:
    """The first value of a field; "" if there is none."""
    return group.get(name, [""])[0]


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Each field with its folded lines put together; ("", "") for a blank line."""
    name, value = "", ""
    for line in text.split("\n"):
        if name and line[:1] in {" ", "\t"} and line.strip():
            value = f"{value} {line.strip()}"[:_LONGEST]
            continue
        if name:
            yield name, value
        found = _FIELD.match(line)
        name, value = (found[1].lower(), found[2].strip()[:_LONGEST]) if found else ("", "")
        if not line.strip():
            yield "", ""
    if name:
        yield name, value
