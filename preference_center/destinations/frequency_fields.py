"""Which topics a destination can hold how often they are wanted of, and in which fields."""

from __future__ import annotations

from collections.abc import Iterator

from preference_center.catalogue import Catalogue
from preference_center.core.addresses import Channel
from preference_center.destinations.rules.destination import Destination
from preference_center.integrations.base.contract import (
    FREQUENCY_FIELDS,
    Capabilities,
    DestinationConfig,
    parse_frequency_fields,
)


def topics_with_frequency(
    destination: Destination, capabilities: Capabilities, channel: Channel
) -> frozenset[str]:
    """The topics of which it holds how often an address of this channel wants them."""
    if capabilities.pushes_frequency:
        return destination.sends
    if capabilities.can_write_fields and channel is Channel.EMAIL:
        return destination.sends & parse_frequency_fields(destination.settings).keys()
    return frozenset()


def frequency_problems(
    config: DestinationConfig, topics: frozenset[str], catalogue: Catalogue
) -> Iterator[str]:
    """What is wrong with the setting, each with its remedy; `topics` are those that it sends."""
    setting = config.settings.get(FREQUENCY_FIELDS)
    if setting is None:
        return
    fields = config.frequency_fields
    if len(fields) != len([part for part in setting.split(";") if part.strip()]):
        yield f"{FREQUENCY_FIELDS}: write topic=field, several separated by semicolons"
    if len(set(fields.values())) < len(fields):
        yield f"{FREQUENCY_FIELDS}: give each topic a field of its own"
    if config.link_field in fields.values():
        yield f"{FREQUENCY_FIELDS}: {config.link_field} holds links: name another field"
    for key in fields:
        topic = catalogue.topics.get(key)
        if key not in topics:
            yield f"{FREQUENCY_FIELDS}: {key} is not sent through it: leave it out"
        elif topic and not topic.frequencies:
            yield f"{FREQUENCY_FIELDS}: {key} offers no frequencies: add them to the catalogue"
