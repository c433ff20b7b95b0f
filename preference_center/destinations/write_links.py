"""`write_links` writes each contact's permanent link into the tool's field for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from preference_center.catalogue.store import current_catalogue
from preference_center.destinations.push import log_failure
from preference_center.destinations.rules.classify import AddressContext
from preference_center.destinations.rules.reported import AddressEvents, AddressKey
from preference_center.destinations.rules.states import Destination
from preference_center.destinations.validate import permanent_link_builder
from preference_center.integrations.base.contract import (
    LINK_FIELD,
    Connector,
    DeliveryError,
    FieldItem,
    PushResult,
    SupportsContactFields,
)


def write_links(
    destination: Destination,
    connector: Connector,
    events_by_address: Mapping[AddressKey, AddressEvents],
    contexts: Mapping[AddressKey, AddressContext],
) -> int:
    """Write permanent links into contacts that lack theirs. Returns how many were written.

    Not into those of erased people: theirs were removed there (I6). A permanent failure is logged:
    no opt-out of a later page may wait until a person repairs it. Raises DeliveryError for others.
    """
    if not connector.capabilities.can_hold_link:
        return 0
    build_link = permanent_link_builder(destination, current_catalogue())
    if build_link is None:
        return 0
    field, items = destination.settings[LINK_FIELD], []
    for number, (key, each) in enumerate(events_by_address.items()):
        state = contexts[key].state
        if state is not None and state.erased:
            continue
        if each.snapshot is not None and each.snapshot.link is not None:
            link = build_link(each.address)
            if link != each.snapshot.link:
                items.append(FieldItem(number, each.raw_address, each.address.channel, link))
    count, size = 0, connector.capabilities.batch_size
    for start in range(0, len(items), size):
        writer = cast("SupportsContactFields", connector)
        try:
            outcomes = writer.write_field(field, items[start : start + size])
        except DeliveryError as error:
            if not error.permanent:
                raise
            log_failure("links_not_written", destination, error)
            break
        count += sum(outcome.result is PushResult.REFLECTED for outcome in outcomes.values())
    return count
