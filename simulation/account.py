"""The connector of a simulated tool, for one lease: what the service asks of it.

It implements `integrations.base.contract` as a vendor's connector and the vendor behind it do
together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, TypeVar

from preference_center.destinations.connect import Lease
from preference_center.integrations.base.contract import (
    Capabilities,
    CheckReport,
    ContactPage,
    ContactSnapshot,
    EraseItem,
    NoResponse,
    PushItem,
    PushOutcome,
    PushResult,
    UnsupportedByDestination,
)
from preference_center.integrations.base.vendor_events import VendorEvent
from simulation.tools import Tool, shown
from simulation.violation import Violation

T = TypeVar("T")

PAGE = 60
SILENTLY_IDLE = 0.5
"""How often a deletion that timed out was not done."""


@dataclass(slots=True)
class Account:
    """The connector for one lease. See `Connector` and the `Supports*` protocols."""

    kind: ClassVar[str] = "simulated"
    settings: ClassVar[Mapping[str, str]] = {}
    tool: Tool
    lease: Lease
    capabilities: Capabilities

    def check(self) -> CheckReport:
        """All is well."""
        return CheckReport()

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """Act, or only report that it did: at once, never, or after the caller's timeout."""
        tool, batch = self.tool, sorted(batch, key=lambda item: item.address)
        self._allow(batch)
        tool.asked(tool, batch)
        for item in batch:
            tool.asked_off |= {(item.address, topic): tool.clock() for topic in item.off}
        tool.trace(f"{tool.name} is asked " + "; ".join(map(shown, batch)))
        tool.answer(self.lease, f"{tool.name} push")
        vice = tool.random.random()
        if vice < tool.profile.timeouts:
            self._time_out(batch)
        outcomes = {}
        for item in batch:
            outcomes[item.ref] = self._one(item)
        tool.step(f"{tool.name} pushed")
        return outcomes

    def erase(self, batch: Sequence[EraseItem]) -> Mapping[int, PushOutcome]:
        """Delete people, or only report that; or say nothing in time."""
        tool, batch = self.tool, sorted(batch, key=lambda item: item.address)
        tool.asked_to_erase(tool, batch)
        tool.trace(f"{tool.name} is asked to erase " + "; ".join(item.address for item in batch))
        tool.answer(self.lease, f"{tool.name} erase")
        tool.asked_to_delete |= {item.address: tool.clock() for item in batch}
        is_silent = tool.random.random() < tool.profile.timeouts
        done = [] if is_silent and tool.random.random() < SILENTLY_IDLE else batch
        outcomes = {item.ref: self._delete(item.address) for item in done}
        if is_silent:
            tool.clock.sleep(10)
            raise NoResponse("timed out")
        tool.step(f"{tool.name} erased")
        return outcomes

    def _delete(self, address: str) -> PushOutcome:
        tool = self.tool
        if tool.random.random() < tool.profile.rows_fail:
            return PushOutcome(PushResult.RETRY_LATER, "busy")
        is_there = address in tool.contacts
        if tool.random.random() >= tool.profile.forgets:
            tool.delete(address)
        tool.erased.add(address)
        tool.erased_once.add(address)
        return PushOutcome(PushResult.REFLECTED if is_there else PushResult.ABSENT, "204")

    def find_held(self, batch: Sequence[EraseItem]) -> Mapping[int, bool]:
        """Who is still there."""
        tool = self.tool
        tool.answer(self.lease, f"{tool.name} find_held")
        return {item.ref: item.address in tool.contacts for item in batch}

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        """What is off, as it is."""
        tool = self.tool
        tool.answer(self.lease, f"{tool.name} read")
        return {
            item.ref: self._off(item.address) if item.address in tool.contacts else None
            for item in batch
        }

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        """Contacts by change, or all there are."""
        tool = self.tool
        tool.answer(self.lease, f"{tool.name} scan")
        log, start = tool.log, int(cursor or 0)
        if not tool.profile.by_change:
            log = list(tool.contacts)
        some = log[start : start + PAGE]
        lists_off = tool.profile.lists_off
        rows = [
            ContactSnapshot(address, off=self._listed_off(address) if lists_off else None)
            for address in dict.fromkeys(some)
            if address in tool.contacts
        ]
        for row in rows:
            for topic in tool.topics - (row.off or frozenset()):
                tool.shown_on[row.address, topic] = tool.clock()
        if start + len(some) >= len(log):
            tool.listed["scan"] = len(tool.log)
        return self._page(
            tuple(rows), start + len(some), len(log), by_change=tool.profile.by_change
        )

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """Opt-outs, the person's and (some tools) ours."""
        tool, start = self.tool, int(cursor or 0)
        tool.answer(self.lease, f"{tool.name} pull")
        some = tool.opt_out_events[start : start + PAGE]
        tool.listed["pull"] = start + len(some)
        # Without a date or an id, a list contains what is off now, and nothing of the past.
        rows = tuple(event for event in some if event.id or self._is_listed(event))
        return self._page(rows, start + len(some), len(tool.opt_out_events), by_change=True)

    def _is_listed(self, event: VendorEvent) -> bool:
        off = self._listed_off(event.address)
        return any(self.tool.target_of(topic) == event.target for topic in off)

    def _listed_off(self, address: str) -> frozenset[str]:
        """What is off as its lists have it, which are a while behind."""
        tool, while_ago = self.tool, timedelta(seconds=self.tool.profile.shows_old)
        turned = {
            topic
            for topic in tool.topics
            if (at := tool.on_since.get((address, topic))) and tool.clock() - at < while_ago
        }
        return self._off(address) | turned

    def _page(
        self, rows: tuple[T, ...], end: int, there: int, *, by_change: bool
    ) -> ContactPage[T]:
        done = end >= there
        self.tool.step(f"{self.tool.name} listed")
        return ContactPage(rows, None if done and not by_change else str(end), done)

    def _off(self, address: str) -> frozenset[str]:
        return frozenset(self.tool.off.get(address, ()))

    def _allow(self, batch: Sequence[PushItem]) -> None:
        """Raises Violation if the service breaks the contract of connectors (I10)."""
        if len(batch) > self.capabilities.batch_size:
            raise Violation(f"I10: {self.tool.name} was given a larger batch than it takes")
        for item in batch:
            if not item.off | item.lift <= self.tool.topics:
                raise Violation(f"I10: {self.tool.name} was sent a topic that it does not send")
            if item.lift and not self.capabilities.can_lift:
                raise UnsupportedByDestination("it can't turn anything on")

    def _one(self, item: PushItem) -> PushOutcome:
        tool = self.tool
        if item.address not in tool.contacts:
            return PushOutcome(PushResult.ABSENT)
        if tool.random.random() < tool.profile.rows_fail:
            retry_after = tool.random.choice([None, None, timedelta(hours=100)])
            if retry_after:
                tool.put_off[item.address] = tool.clock()
            return PushOutcome(PushResult.RETRY_LATER, "busy", retry_after)
        if tool.random.random() >= tool.profile.forgets:
            tool.apply([item])
            tool.forgot.pop(item.address, None)
        else:  # it only confirms; what stays off looks as if a person had turned it off
            for topic in sorted(item.lift & tool.off.get(item.address, set())):
                tool.seems_off(item.address, topic)
            tool.forgot[item.address] = tool.clock()
        return PushOutcome(PushResult.REFLECTED, "200")

    def _time_out(self, batch: Sequence[PushItem]) -> None:
        """The outcome is unknown: it acted, never does, or does so later."""
        tool, way = self.tool, self.tool.random.random()
        if way < 0.4:
            tool.apply(batch)
        elif way < 0.8:
            delay = tool.random.uniform(1, tool.profile.acts_within)
            tool.later(
                tool.clock() + timedelta(seconds=delay),
                f"{tool.name} acts late on " + "; ".join(map(shown, batch)),
                lambda: tool.apply(batch, late=True),
            )
        tool.clock.sleep(10)
        tool.step(f"{tool.name} timed out")
        raise NoResponse("timed out")
