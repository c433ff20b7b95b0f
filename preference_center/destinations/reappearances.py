"""Which erased people a page or a batch of a tool shows (I6)."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from preference_center.destinations.rules.classify import AddressContext, FollowUp
from preference_center.destinations.rules.reported import AddressEvents, AddressKey, IngestPlan
from preference_center.infra.context import services
from preference_center.ledger.store.addresses import seal_address

_OF_EVENTS = {FollowUp.READ_BACK_LATER}
"""Follow-ups that an event alone may have, without a contact."""


def reappeared(
    plan: IngestPlan,
    events_by_address: Mapping[AddressKey, AddressEvents],
    contexts: Mapping[AddressKey, AddressContext],
) -> dict[int, tuple[UUID, bytes]]:
    """The erased addresses that the tool has as contacts, as `erased_seen_again` takes them."""
    keys = {key for key, each in events_by_address.items() if each.snapshot is not None}
    for follow_up, found in plan.follow_ups.items():
        if follow_up not in _OF_EVENTS:
            keys.update(found)
    context = services()
    return {
        state.address_id: (
            context.new_id(),
            seal_address(context.keys, events_by_address[key].address),
        )
        for key in keys
        if (state := contexts[key].state) is not None and state.erased
    }
