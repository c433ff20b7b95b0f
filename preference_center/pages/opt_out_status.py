"""Where the opt-outs of one address are: what stands, and how far each tool is.

Only what concerns exactly the address of the link (I9).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from preference_center.domain.addresses import Address
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.delivery_status import (
    ActiveSuppression,
    Delivery,
    DeliveryState,
    DeliveryStatus,
    active_suppressions,
    compute_delivery_status,
)
from preference_center.domain.events import Event
from preference_center.domain.receipt_codes import format_receipt_code
from preference_center.extensions import services
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.ledger.events import load_events_by_id
from preference_center.storage.ledger.suppression_lookup import load_exact_facts
from preference_center.storage.sync.delivery_status import find_address_id, list_address_progress

_ACRONYMS = {"cdp", "crm", "erp", "esp", "sms"}
_SHOWN_OUTCOMES = {DeliveryState.CONFIRMED: "reflected", DeliveryState.ABSENT: "absent"}


@dataclass(frozen=True, slots=True)
class RecordedOptOut:
    """One "no" that stands.

    `event` is None while it has come by mail and its address was not known to us then.
    """

    suppression: ActiveSuppression
    event: Event | None

    @property
    def reference(self) -> str:
        """What support finds it by."""
        return format_receipt_code(self.suppression.event_id)

    @property
    def received_at(self) -> datetime:
        """When it reached the company."""
        return self.event.received_at if self.event else self.suppression.since

    @property
    def recorded_at(self) -> datetime:
        """From when on no sender who asks gets a yes (I2)."""
        return self.event.recorded_at if self.event else self.suppression.since

    @property
    def received_via(self) -> str:
        """How it reached the company, in a word: a `Via`, a method or a source."""
        if self.event is None:
            return "mailto"
        evidence = self.event.evidence
        return evidence.get("via") or evidence.get("method") or self.event.source


def tool_title(name: str) -> str:
    """The destination's name as people write: `email-tool` is `Email tool`."""
    words = name.replace("-", " ").replace("_", " ").split()
    text = " ".join(word.upper() if word in _ACRONYMS else word for word in words)
    return text[:1].upper() + text[1:]


@dataclass(frozen=True, slots=True)
class ToolStatus:
    """One connected tool, and how far it is. `told` are its answers, the newest first."""

    name: str
    progress: DeliveryStatus
    deliveries: Sequence[Delivery]

    @property
    def title(self) -> str:
        """What the page calls it."""
        return tool_title(self.name)

    @property
    def earlier_deliveries(self) -> list[Delivery]:
        """What it answered besides what `progress` says."""
        shown = _SHOWN_OUTCOMES.get(self.progress.state)
        return [told for told in self.deliveries if told.outcome != shown]


@dataclass(frozen=True, slots=True)
class OptOutStatus:
    """Everything that the page and the receipt show of one address."""

    opt_outs: Sequence[RecordedOptOut]
    tools: Sequence[ToolStatus]


def load_opt_out_status(
    address: Address, catalogue: Catalogue, now: datetime, scopes: Collection[str] | None = None
) -> OptOutStatus:
    """What stands against writing to exactly this address, and who knows.

    With `scopes`, only what concerns these.
    """
    nos = active_suppressions(load_exact_facts([address])[0], now)
    if scopes is not None:
        nos = [no for no in nos if no.scope in scopes]
    if not nos:
        return OptOutStatus((), ())
    return run_in_transaction(lambda connection: _load(connection, address, nos, catalogue, now))


def _load(
    connection: Connection,
    address: Address,
    suppressions: Sequence[ActiveSuppression],
    catalogue: Catalogue,
    now: datetime,
) -> OptOutStatus:
    events = load_events_by_id(connection, [no.event_id for no in suppressions])
    opt_outs = [RecordedOptOut(no, events.get(no.event_id)) for no in suppressions]
    owner = find_address_id(connection, services().keys.exact_digest(address), address.channel)
    if owner is None:
        return OptOutStatus(opt_outs, ())
    dated = [(each.suppression, each.received_at) for each in opt_outs]
    topics = {topic.key for topic in catalogue.topics_for_channel(address.channel)}
    places = [
        ToolStatus(
            each.tool.name,
            compute_delivery_status(each.tool, each.sync_row, each.deliveries, dated, now),
            each.deliveries,
        )
        for each in list_address_progress(connection, owner, topics)
    ]
    return OptOutStatus(opt_outs, places)
