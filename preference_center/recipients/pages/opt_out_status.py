"""The active opt-outs of one address, and how far each tool has applied them.

Only what concerns exactly the address of the link (I9).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from preference_center.catalogue import Catalogue
from preference_center.core.addresses import Address
from preference_center.core.events import DESTINATION_SOURCE, SHARING, Event, format_receipt_code
from preference_center.destinations.rules.delivery import (
    ActiveSuppression,
    DeliveryState,
    DeliveryStatus,
    DeliverySummary,
    active_suppressions,
    compute_delivery_status,
    summarize_delivery,
)
from preference_center.destinations.set_up import load_system_titles
from preference_center.destinations.store.deliveries import find_address_id, list_address_progress
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.store.events import load_events_by_id
from preference_center.ledger.store.lookup import load_exact_facts


@dataclass(frozen=True, slots=True)
class RecordedOptOut:
    """One active opt-out, with the event that recorded it.

    `event` is None for an opt-out that came by mail while its address was unknown.
    """

    suppression: ActiveSuppression
    event: Event | None

    @property
    def reference(self) -> str:
        """The code by which support finds it."""
        return format_receipt_code(self.suppression.event_id)

    @property
    def received_at(self) -> datetime:
        """When it reached the company."""
        return self.event.received_at if self.event else self.suppression.since

    @property
    def recorded_at(self) -> datetime:
        """From when on decisions deny it (I2)."""
        return self.event.recorded_at if self.event else self.suppression.since

    @property
    def received_via(self) -> str | None:
        """How it reached the company: a ReceivedVia, a method of evidence or `destination`.

        No other source: it may name a system of the company.
        """
        if self.event is None:
            return "mailto"
        evidence = self.event.evidence
        found_in_tool = self.event.source == DESTINATION_SOURCE
        source = DESTINATION_SOURCE if found_in_tool else None
        return evidence.get("via") or evidence.get("method") or source

    @property
    def policy(self) -> str | None:
        """The version of the privacy policy that was shown, such as `privacy/2027-01`."""
        return self.event.evidence.get("policy") if self.event else None


@dataclass(frozen=True, slots=True)
class SystemStatus:
    """How far one connected tool is, by the title that people read for it."""

    title: str
    progress: DeliveryStatus


@dataclass(frozen=True, slots=True)
class OptOutStatus:
    """All that the page and the receipt show about one address."""

    opt_outs: Sequence[RecordedOptOut]
    systems: Sequence[SystemStatus]

    @property
    def summary(self) -> DeliverySummary:
        """The systems taken together: all that a forwarded link shows of them."""
        return summarize_delivery(each.progress for each in self.systems)

    @property
    def concerned_systems(self) -> list[SystemStatus]:
        """Those that send something of what was turned off."""
        return [
            each for each in self.systems if each.progress.state is not DeliveryState.NOT_APPLICABLE
        ]


def load_opt_out_status(
    address: Address, catalogue: Catalogue, now: datetime, scopes: Collection[str] | None = None
) -> OptOutStatus:
    """The active opt-outs of exactly this address, and each connected tool's status.

    With `scopes`, only those of these scopes.
    """
    active = active_suppressions(load_exact_facts([address])[0], now)
    if scopes is not None:
        active = [each for each in active if each.scope in scopes]
    if not active:
        return OptOutStatus((), ())
    return run_in_transaction(lambda connection: _load(connection, address, active, catalogue, now))


def _load(
    connection: Connection,
    address: Address,
    suppressions: Sequence[ActiveSuppression],
    catalogue: Catalogue,
    now: datetime,
) -> OptOutStatus:
    events = load_events_by_id(connection, [each.event_id for each in suppressions])
    opt_outs = [RecordedOptOut(each, events.get(each.event_id)) for each in suppressions]
    address_id = find_address_id(connection, services().keys.exact_digest(address), address.channel)
    if address_id is None:
        return OptOutStatus(opt_outs, ())
    dated = [(each.suppression, each.received_at) for each in opt_outs]
    topics = {SHARING, *(t.key for t in catalogue.topics_for_channel(address.channel))}
    titles = load_system_titles(connection, catalogue)
    systems = [
        SystemStatus(
            titles(each.tool.name),
            compute_delivery_status(each.tool, each.sync_row, each.deliveries, dated, now),
        )
        for each in list_address_progress(connection, address_id, topics)
    ]
    return OptOutStatus(opt_outs, systems)
