"""A stand-in tool that can be read, scanned and pulled, and that reports all it receives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from preference_center.core.addresses import Channel
from preference_center.destinations.rules.states import Destination, DestinationStatus
from preference_center.destinations.store import destinations
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.integrations.base.contract import (
    Capabilities,
    ContactPage,
    ContactSnapshot,
    DeliveryError,
    FieldItem,
    ListingMode,
    PushItem,
    PushOutcome,
    PushResult,
    SupportedScope,
)
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from tests.destinations.tool import Tool

PAGE = 3


@dataclass
class TwoWayTool(Tool):
    """Mails its `contacts`; `off` is what is off, as in `Tool`.

    Listings are by change: `log` grows with each, and cursors are places in it. `reported` are
    opt-outs with their topics, no matter who made them.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=True,
        batch_size=100,
        can_read=True,
        scans=ListingMode.CHANGES,
        pulls=ListingMode.CHANGES,
        can_write_fields=True,
        can_hold_link=True,
    )
    contacts: dict[str, str] = field(default_factory=dict)
    """Address -> what stands in its field for links."""
    fields: dict[tuple[str, str], str] = field(default_factory=dict)
    """Address and field -> what was written into it."""
    broken_fields: set[str] = field(default_factory=set)
    log: list[str] = field(default_factory=list)
    reported: list[tuple[str, str]] = field(default_factory=list)
    reads: list[list[str]] = field(default_factory=list)
    forgets: set[str] = field(default_factory=set)
    """Addresses whose opt-outs it confirms and does not keep."""

    def add(self, *addresses: str) -> None:
        for address in addresses:
            self.contacts.setdefault(address, "")
            self.log.append(address)

    def opt_out(self, address: str, topic: str) -> None:
        """What a person does in the tool."""
        self.add(address)
        self.off.setdefault(address, set()).add(topic)
        self.reported.append((address, topic))

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        outcomes = dict(super().push(batch))
        for item in batch:
            if item.address not in self.contacts:
                outcomes[item.ref] = PushOutcome(PushResult.ABSENT)
        return outcomes

    def apply(self, batch: Sequence[PushItem]) -> None:
        here = [item for item in batch if item.address in self.contacts]
        super().apply([item for item in here if item.address not in self.forgets])
        for item in here:
            self.log.append(item.address)
            self.reported += [(item.address, topic) for topic in sorted(item.off)]

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        self.reads.append([item.address for item in batch])
        return {
            item.ref: frozenset(self.off.get(item.address, ()))
            if item.address in self.contacts
            else None
            for item in batch
        }

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        start = int(cursor or 0)
        some = self.log[start : start + PAGE]
        rows = tuple(
            ContactSnapshot(address, link=self.contacts[address]) for address in dict.fromkeys(some)
        )
        return ContactPage(rows, str(start + len(some)), done=start + PAGE >= len(self.log))

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        start = int(cursor or 0)
        some = self.reported[start : start + PAGE]
        rows = tuple(
            VendorEvent(VendorEventKind.OPTED_OUT, address, topic) for address, topic in some
        )
        return ContactPage(rows, str(start + len(some)), done=start + PAGE >= len(self.reported))

    def write_field(self, field: str, batch: Sequence[FieldItem]) -> Mapping[int, PushOutcome]:
        if field in self.broken_fields:
            raise DeliveryError(f"there is no field {field}", permanent=True)
        outcomes = {}
        for item in batch:
            if item.address not in self.contacts:
                outcomes[item.ref] = PushOutcome(PushResult.ABSENT)
                continue
            outcomes[item.ref] = PushOutcome(PushResult.REFLECTED)
            if field in {"choices", "link"}:
                self.contacts[item.address] = item.value
            self.fields[item.address, field] = item.value
            self.log.append(item.address)
        return outcomes


def add_destination(
    name: str,
    *sends: str,
    status: DestinationStatus = DestinationStatus.ACTIVE,
    pulls: bool = True,
    kind: str = "sendgrid",
    **settings: str,
) -> int:
    """A destination of such a tool, which is called as our topics are."""
    context = services()

    def work(connection: Connection) -> int:
        number = destinations.insert_destination(
            connection,
            context.keys,
            name=name,
            kind=kind,
            settings=settings,
            channels=frozenset({Channel.EMAIL}),
            mapping={},
            sends=frozenset(sends),
            sends_service=False,
            wait_for_pull=pulls,
            now=context.now(),
        )
        destinations.set_status(connection, number, status)
        return number

    return run_in_transaction(work)


def look(number: int) -> Destination:
    found = run_in_transaction(lambda c: destinations.find_by_id(c, services().keys, number))
    assert found
    return found
