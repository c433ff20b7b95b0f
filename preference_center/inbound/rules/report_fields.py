"""Groups of fields, as delivery and feedback reports have them (RFC 3464 2.1, RFC 5965 3)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias

FieldGroup: TypeAlias = Mapping[str, list[str]]
"""Names in lower case -> values, unfolded."""

_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,60})[ \t]*:[ \t]*(.*)")
_MAX_VALUE_LENGTH = 4000  # characters of a value
_RECIPIENT_FIELDS = {"original-recipient", "final-recipient", "x-actual-recipient"}
_UNIQUE_FIELDS = {"original-recipient", "final-recipient", "action", "status"}
_OUTCOME_FIELDS = {"action", "status"}


def parse_fields(text: str) -> FieldGroup:
    """All fields of a text, blank lines or not."""
    found: dict[str, list[str]] = {}
    for name, value in _unfolded_fields(text):
        if name:
            found.setdefault(name, []).append(value)
    return found


def parse_recipient_groups(text: str) -> Iterator[FieldGroup]:
    """The groups of a delivery report, each about one recipient.

    A new group begins where a field occurs again that a group has only once, or where another
    recipient is named after a blank line. A blank line alone ends nothing: gateways double line
    ends.
    """
    group: dict[str, list[str]] = {}
    blank = False
    for name, value in _unfolded_fields(text):
        if not name:
            blank = True
            continue
        if (name in _UNIQUE_FIELDS and name in group) or (
            blank and name in _RECIPIENT_FIELDS and _is_complete(group)
        ):
            if _is_complete(group):
                yield group
            group = {}
        blank = blank and name not in _RECIPIENT_FIELDS
        group.setdefault(name, []).append(value)
    if _is_complete(group):
        yield group


def _is_complete(group: FieldGroup) -> bool:
    return bool(_RECIPIENT_FIELDS & group.keys()) and bool(_OUTCOME_FIELDS & group.keys())


def first_value(group: FieldGroup, name: str) -> str:
    """The first value of a field; "" if there is none."""
    return group.get(name, [""])[0]


def _unfolded_fields(text: str) -> Iterator[tuple[str, str]]:
    """Each field with its folded lines put together; ("", "") for a blank line."""
    name, value = "", ""
    for line in text.split("\n"):
        if name and line[:1] in {" ", "\t"} and line.strip():
            value = f"{value} {line.strip()}"[:_MAX_VALUE_LENGTH]
            continue
        if name:
            yield name, value
        found = _FIELD.match(line)
        name, value = (
            (found[1].lower(), found[2].strip()[:_MAX_VALUE_LENGTH]) if found else ("", "")
        )
        if not line.strip():
            yield "", ""
    if name:
        yield name, value
