"""What a destination on Salesforce must be set up like (I10)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from preference_center.integrations.base.check_report import Right
from preference_center.integrations.base.contract import LINK_FIELD, Setup
from preference_center.integrations.base.mapping import whole_problems
from preference_center.integrations.salesforce.models import Column, Described

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
    if OPT_OUT not in columns and OPT_OUT not in setup.topics.values():
        yield (
            f"{OPT_OUT} of {object_} is hidden from the app's user, who could not see a no "
            "to everything: let the user read it"
        )
    if setup.link_field:
        column = columns.get(setup.link_field)
        if column is None or column.length < LINK_LENGTH:
            yield (
                f"{LINK_FIELD} {setup.link_field} is no field of {object_} that takes "
                f"{LINK_LENGTH} characters and that the app's user may see: add it, or grant it"
            )


def rights(setup: Setup, object_: str, described: Described) -> Iterator[Right]:
    """What the app's user must be allowed, by the description of an object.

    https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_calls_describesobjects_describesobjectresult.htm
    """
    grant = "grant it to the app's user, in a permission set"
    use = f"change a {object_.lower()}"
    yield Right(f"Edit on {object_}", use, described.updateable, grant)
    uses = {name: f"turn {topic} off and on" for topic, name in sorted(setup.topics.items())}
    if setup.link_field:
        uses[setup.link_field] = "write links"
    for name, use in uses.items():
        if column := described.columns.get(name):
            yield Right(f"Edit Access on {object_}.{name}", use, column.updateable, grant)
