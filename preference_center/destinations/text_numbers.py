"""The number that people text START to, to turn text messages on again."""

from __future__ import annotations

from collections.abc import Collection

from preference_center.core.keys import Keys
from preference_center.destinations.store.destinations import list_destinations
from preference_center.infra.db.transactions import Connection
from preference_center.integrations.base.integration import NUMBER_SETTING


def find_text_number(connection: Connection, keys: Keys, topics: Collection[str]) -> str | None:
    """The number of the first destination by name that has one; None if none has.

    One that is mapped to topics counts only if one of `topics` is among them.
    """
    for destination in list_destinations(connection, keys):
        number = destination.settings.get(NUMBER_SETTING)
        if number and (not destination.mapping or destination.mapping.keys() & {*topics}):
            return number
    return None
