"""What a destination on Salesforce must be set up like (I10)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from workers.connectors.base import LINK_FIELD, Setup
from workers.connectors.mapping import whole_problems
from workers.connectors.salesforce_answers import Column

OPT_OUT = "HasOptedOutOfEmail"
OBJECTS = ("Contact", "Lead")
LINK_LENGTH = 255
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
"""Names go into queries."""


def objects(setup: Setup) -> list[str]:
    """The kinds of record that the destination is about."""
    named = setup.settings.get("objects", ",".join(OBJECTS))
    return [name.strip() for name in named.split(",")]


def setting_problems(setup: Setup) -> Iterator[str]:
    """Faults that can be told without asking Salesforce, each with its remedy."""
    if not set(objects(setup)) <= set(OBJECTS):
        yield f"objects: write {' or '.join(OBJECTS)}, or leave it out for both"
    for topic, name in sorted(setup.topics.items()):
        if not _NAME.fullmatch(name):
            yield f"topic {topic} is mapped to {name!r}, which is no field's API name"
    if setup.link_field and not _NAME.fullmatch(setup.link_field):
        yield f"{LINK_FIELD} is no field's API name"
    yield from whole_problems(setup, OPT_OUT, "checkbox")


def column_problems(setup: Setup, object_: str, columns: Mapping[str, Column]) -> Iterator[str]:
    """Faults of the fields that are mapped, as the app's user sees an object's fields."""
    for topic, name in sorted(setup.topics.items()):
        column = columns.get(name)
        if column is None or column.type != "boolean":
            yield (
                f"topic {topic} is mapped to {name}, which is no checkbox of {object_} that "
                "the app's user may see: add it there, or grant it"
            )
        elif not column.updateable:
            yield f"{name} of {object_} may not be edited by the app's user: grant it"
    if OPT_OUT not in columns and OPT_OUT not in setup.topics.values():
        yield (
            f"{OPT_OUT} of {object_} is hidden from the app's user, who could not see a no "
            "to everything: let the user read it"
        )
    if setup.link_field:
        column = columns.get(setup.link_field)
        if column is None or not column.updateable or column.length < LINK_LENGTH:
            yield (
                f"{LINK_FIELD} {setup.link_field} is no field of {object_} that takes "
                f"{LINK_LENGTH} characters from the app's user: add it, or grant it"
            )
