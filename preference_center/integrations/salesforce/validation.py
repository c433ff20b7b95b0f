"""Problems of a Salesforce destination's settings, fields and permissions (I10)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from preference_center.integrations.base.check_report import Permission
from preference_center.integrations.base.contract import LINK_FIELD, DestinationConfig
from preference_center.integrations.salesforce.models import FieldDescription, ObjectDescription

OPT_OUT_FIELD = "HasOptedOutOfEmail"
ERASE_SETTING = "erase_records"
OBJECTS = ("Contact", "Lead")
MIN_LINK_FIELD_LENGTH = 255
MIN_FREQUENCY_FIELD_LENGTH = 32
"""Characters of the longest key of a frequency."""
_FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
"""Names are put into queries unquoted."""


def parse_object_names(config: DestinationConfig) -> list[str]:
    """The object types that the destination covers; see `setting_problems` for other names."""
    return [name for name in _object_names(config) if name in OBJECTS]


def _object_names(config: DestinationConfig) -> list[str]:
    names = config.settings.get("objects", ",".join(OBJECTS))
    return [name.strip() for name in names.split(",")]


def setting_problems(config: DestinationConfig) -> Iterator[str]:
    """Problems that can be found without a request to Salesforce, each with its remedy."""
    if not set(_object_names(config)) <= set(OBJECTS):
        yield f"objects: write {' or '.join(OBJECTS)}, or leave the setting out for both"
    for topic, name in sorted(config.topics.items()):
        if not _FIELD_NAME.fullmatch(name):
            yield f"topic {topic} is mapped to {name!r}, which is no field's API name"
    for field, setting in config.contact_fields.items():
        if not _FIELD_NAME.fullmatch(field):
            yield f"{setting}: {field!r} is no field's API name"
    if config.settings.get(ERASE_SETTING, "no") not in {"yes", "no"}:
        yield f"{ERASE_SETTING}: write yes or no"


def field_problems(
    config: DestinationConfig, object_name: str, fields: Mapping[str, FieldDescription]
) -> Iterator[str]:
    """Problems of the mapped fields, as the app's user sees an object's fields."""
    for topic, name in sorted(config.topics.items()):
        column = fields.get(name)
        if column is None or column.type != "boolean":
            yield (
                f"topic {topic} is mapped to {name}, which is no checkbox of {object_name} that "
                "the app's user may see: add it there, or grant it"
            )
    if OPT_OUT_FIELD not in fields and OPT_OUT_FIELD not in config.topics.values():
        yield (
            f"{OPT_OUT_FIELD} of {object_name} is hidden from the app's user, who could not "
            "see an opt-out from everything: let the user read it"
        )
    for field, setting in config.contact_fields.items():
        length = MIN_LINK_FIELD_LENGTH if setting == LINK_FIELD else MIN_FREQUENCY_FIELD_LENGTH
        column = fields.get(field)
        if column is None or column.length < length:
            yield (
                f"{setting}: {field} is no field of {object_name} that takes "
                f"{length} characters and that the app's user may see: add it, "
                "or grant it"
            )


def list_permissions(
    config: DestinationConfig, object_name: str, description: ObjectDescription
) -> Iterator[Permission]:
    """The permissions that the app's user needs, by the description of an object.

    https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_calls_describesobjects_describesobjectresult.htm
    """
    grant = "grant it to the app's user, in a permission set"
    use = f"change a {object_name.lower()}"
    yield Permission(f"Edit on {object_name}", use, description.updateable, grant)
    if config.settings.get(ERASE_SETTING) == "yes":
        use = "delete people who are erased"
        name = f"Delete on {object_name}"
        yield Permission(name, use, description.deletable, grant, is_required=False)
    uses = {name: f"turn {topic} off and on" for topic, name in sorted(config.topics.items())}
    for field, setting in config.contact_fields.items():
        uses[field] = "write links" if setting == LINK_FIELD else "write how often"
    for name, use in uses.items():
        if column := description.fields_by_name.get(name):
            yield Permission(f"Edit Access on {object_name}.{name}", use, column.updateable, grant)
