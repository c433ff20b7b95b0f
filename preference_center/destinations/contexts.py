"""Group what a tool reports by address, and load what is known of these addresses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import parse_address
from preference_center.core.errors import InvalidAddress
from preference_center.destinations.rules.classify import AddressContext
from preference_center.destinations.rules.destination import Destination
from preference_center.destinations.rules.plan import active_suppressions, topics_by_channel
from preference_center.destinations.rules.reported import AddressEvents, AddressKey
from preference_center.destinations.store import verification
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_autocommit
from preference_center.integrations.base.contract import Capabilities, ContactSnapshot
from preference_center.integrations.base.vendor_events import VendorEvent
from preference_center.ledger.store.lookup import load_facts


def group_by_address(
    observations: Iterable[VendorEvent | ContactSnapshot],
) -> tuple[dict[AddressKey, AddressEvents], int]:
    """The observations by address, and the number of those whose address can't be parsed."""
    context = services()
    grouped: dict[AddressKey, AddressEvents] = {}
    unreadable = 0
    for each in observations:
        try:
            address = parse_address(
                each.address, each.channel, region=context.settings.phone_region
            )
        except InvalidAddress:
            unreadable += 1
            continue
        key = (context.keys.exact_digest(address), address.channel.value)
        of_address = grouped.setdefault(key, AddressEvents(address, each.address))
        if isinstance(each, ContactSnapshot):
            of_address.snapshot = each
        else:
            of_address.events.append(each)
    return grouped, unreadable


def load_contexts(
    destination: Destination,
    capabilities: Capabilities,
    events_by_address: Mapping[AddressKey, AddressEvents],
    now: datetime,
) -> dict[AddressKey, AddressContext]:
    """What is known of these addresses and the destination."""
    topics = topics_by_channel(destination, current_catalogue())
    addresses = [each.address for each in events_by_address.values()]
    all_facts = load_facts(addresses) if addresses else []
    states = run_autocommit(
        lambda c: verification.load_states_by_digest(
            c, destination.id, list(events_by_address), now
        )
    )
    contexts = {}
    for key, address, facts in zip(events_by_address, addresses, all_facts, strict=True):
        sent = topics.get(address.channel, frozenset())
        wanted = active_suppressions(sent, facts, now, can_lift=capabilities.can_lift)
        contexts[key] = AddressContext(facts, sent, frozenset(wanted), states.get(key))
    return contexts
