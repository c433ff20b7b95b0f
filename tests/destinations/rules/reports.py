"""What a tool reports about an address, and what is planned of it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.bounces import DeliverabilityPolicy
from preference_center.destinations.rules.classify import AddressContext
from preference_center.destinations.rules.reported import (
    AddressEvents,
    AddressKey,
    IngestPlan,
    IngestRules,
    plan_ingest,
)
from preference_center.destinations.rules.states import Destination, DestinationStatus
from preference_center.integrations.base.contract import ContactSnapshot
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from tests.core.histories import NEWS, NOW, OFFERS
from tests.destinations.tool import Tool

ANNA = "anna@example.com"
TOPICS = frozenset({NEWS, OFFERS})
UNKNOWN = AddressContext((), TOPICS, frozenset(), None)
"""An address of which nothing is known."""

DESTINATION = Destination(
    id=1,
    name="mailer",
    kind="tool",
    settings={},
    channels=frozenset({Channel.EMAIL}),
    sends=TOPICS,
    mapping={NEWS: "11"},
    sends_service=False,
    can_lift=True,
    status=DestinationStatus.ACTIVE,
    reason="",
    failures=0,
    retry_at=None,
    pulled_at=None,
    slow_until=None,
)
"""It knows one of its topics as list 11, and the other by our name."""


def opt_out(target: str | None = "11", **given: Any) -> VendorEvent:
    return VendorEvent(VendorEventKind.OPTED_OUT, ANNA, target, **given)


def rules_for(
    *, can_read: bool = False, off_means_opt_out: bool = True, **given: Any
) -> IngestRules:
    """The rules of DESTINATION; new ids count from 1."""
    capabilities = replace(
        Tool.capabilities, can_read=can_read, off_means_opt_out=off_means_opt_out
    )
    numbers = itertools.count(1)
    fields = {
        "destination": DESTINATION,
        "capabilities": capabilities,
        "policy": DeliverabilityPolicy(),
        "now": NOW,
        "new_id": lambda: UUID(int=next(numbers)),
    }
    return IngestRules(**fields | given)  # type: ignore[arg-type]


def key_of(address: str, *, rotated: bool = False) -> AddressKey:
    """Any key that two addresses do not share, before or after a rotation of the digest keys."""
    return (b"again " if rotated else b"") + address.encode(), "email"


def plan(
    events: Sequence[VendorEvent],
    *,
    snapshot: ContactSnapshot | None = None,
    context: AddressContext = UNKNOWN,
    rules: IngestRules | None = None,
    rotated: bool = False,
) -> IngestPlan:
    """What is planned of these events, and of a contact that is ANNA's."""
    addresses = [event.address for event in events] + ([snapshot.address] if snapshot else [])
    reported = {
        key_of(address, rotated=rotated): AddressEvents(
            parse_address(address, Channel.EMAIL),
            address,
            [event for event in events if event.address == address],
            snapshot if snapshot and snapshot.address == address else None,
            [key_of(address)[0]] if rotated else [],
        )
        for address in addresses
    }
    return plan_ingest(rules or rules_for(), reported, dict.fromkeys(reported, context))
