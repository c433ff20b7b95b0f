"""The preferences of one address as JSON: all that a page of the company's own draws of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from preference_center.catalogue import Catalogue
from preference_center.contacts.rules.preferences import (
    Preferences,
    PreferenceState,
    ScopeStatus,
    compute_preferences,
    shown_facts,
)
from preference_center.core.addresses import Address
from preference_center.core.links import OptInMethod
from preference_center.decisions.rules import POLICY_CHANGED
from preference_center.destinations.set_up import list_one_way_titles
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.store.lookup import load_facts
from preference_center.web.api.keys import ApiKey, KeyScope
from preference_center.web.languages import in_language, match_language

_TO_TURN_ON = frozenset({KeyScope.PORTAL, KeyScope.WRITE, KeyScope.LIFT})


def load_preferences_json(
    address: Address,
    catalogue: Catalogue,
    key: ApiKey,
    now: datetime,
    language: str | None,
    connection: Connection | None = None,
) -> dict[str, Any]:
    """The preferences of exactly this form of the address (I9), for a page that `key` serves.

    `language` is that of titles; default: the catalogue's.
    """
    facts = shown_facts(load_facts([address], connection)[0])
    preferences = compute_preferences(catalogue, address, facts, now)
    always_on = catalogue.always_on(closed=preferences.closed)
    return {
        "read_at": now.isoformat(),
        "closed": preferences.closed,
        "restricted": preferences.restricted,
        "opt_in": _opt_in_method(preferences, key).value,
        "all_marketing": _setting_json(preferences.all_marketing),
        "sharing": _setting_json(preferences.sharing),
        "topics": {topic: _setting_json(each) for topic, each in preferences.topics.items()},
        "always_on": [message_type.key for message_type in always_on],
        "one_way_systems": _one_way_systems(catalogue, [*preferences.topics], language, connection),
    }


def _opt_in_method(preferences: Preferences, key: ApiKey) -> OptInMethod:
    """At once where the key may lift: the company's own log-in has proven who it is."""
    possible = not preferences.closed and not preferences.restricted
    return (
        OptInMethod.IMMEDIATE if possible and key.scopes >= _TO_TURN_ON else OptInMethod.UNAVAILABLE
    )


def _one_way_systems(
    catalogue: Catalogue, topics: list[str], language: str | None, connection: Connection | None
) -> list[str]:
    with in_language(match_language(language) or catalogue.default_language):
        if connection is not None:
            return list_one_way_titles(connection, catalogue, topics)
        return run_in_transaction(lambda one: list_one_way_titles(one, catalogue, topics))


def _setting_json(status: ScopeStatus) -> dict[str, str]:
    off_since = status.since if status.state is PreferenceState.OFF else None
    values = {
        "state": status.state.value,
        "since": off_since and off_since.isoformat(),
        "until": status.until and status.until.isoformat(),
        "frequency": status.frequency,
        "rule": status.rule and status.rule.value,
        "advisory": POLICY_CHANGED if status.policy_changed else None,
    }
    return {name: value for name, value in values.items() if value}
