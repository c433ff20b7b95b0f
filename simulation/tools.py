"""A simulated tool: what it remembers, what it reports, and how it misbehaves.

The service calls it through `simulation.account`. All chance is its own, so that one seed
makes one behaviour.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from preference_center.destinations.connect import Lease
from preference_center.integrations.base.contract import (
    DeliveryError,
    EraseItem,
    EraseMode,
    LeaseExpired,
    NoResponse,
    PushItem,
    RateLimited,
)
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from simulation.ground import Clock
from simulation.people import START
from simulation.profiles import Profile

MINUTE = 60.0


@dataclass(slots=True)
class Tool:
    """One account. `off` is what its own database contains: address -> topics that are off."""

    name: str
    profile: Profile
    topics: frozenset[str]
    clock: Clock
    random: Random
    later: Callable[[datetime, str, Callable[[], None]], None]
    """Has something happen at a time, which `str` describes."""
    step: Callable[[str], None]
    """Called between any two steps of the tool's caller; may never return."""
    trace: Callable[[str], None]
    contacts: dict[str, datetime] = field(default_factory=dict)
    """And when each came."""
    off: dict[str, set[str]] = field(default_factory=dict)
    on_since: dict[tuple[str, str], datetime] = field(default_factory=dict)
    """When a topic was last turned on, by whomever."""
    own_since: dict[tuple[str, str], datetime] = field(default_factory=dict)
    """The same, where the service had not just asked for it."""
    forgot: dict[str, datetime] = field(default_factory=dict)
    """For whom it last confirmed and had not acted; and when."""
    put_off: dict[str, datetime] = field(default_factory=dict)
    """For whom it last asked to retry in a hundred hours, and when."""
    log: list[str] = field(default_factory=list)
    opt_out_events: list[VendorEvent] = field(default_factory=list)
    listed: dict[str, int] = field(default_factory=dict)
    """How long each of its lists was when it was last read to its end."""
    good_since: datetime | None = None
    """None while it is down."""
    asked_off: dict[tuple[str, str], datetime] = field(default_factory=dict)
    """When the service last asked for a topic to be off."""
    shown_on: dict[tuple[str, str], datetime] = field(default_factory=dict)
    """When its list of contacts last showed a topic on, or nothing about it."""
    asked_to_delete: dict[str, datetime] = field(default_factory=dict)
    """Whom it was last asked to delete, and when."""
    erased: set[str] = field(default_factory=set)
    """Whom it has confirmed to delete, and who have not come back to us since."""
    erased_once: set[str] = field(default_factory=set)
    resumed_at: datetime | None = START
    """When support last let it be written to; None while they don't."""
    asked: Callable[[Tool, Sequence[PushItem]], None] = lambda *_: None
    """Called with every request before the tool is."""
    asked_to_erase: Callable[[Tool, Sequence[EraseItem]], None] = lambda *_: None
    is_refused: Callable[[], bool] = lambda: False
    """Whether what it posts can't be taken just now: it posts it again."""
    seems_off: Callable[[str, str], None] = lambda *_: None
    """Called with an address and a topic that are off there as if the person had turned it off:
    by a request that it acted on late, since it only confirmed to turn it on, or since it kept an
    opt-out of a contact that it deleted, and nobody could lift that before the contact came back.
    """
    calls: list[datetime] = field(default_factory=list)

    # --- what happens in the tool itself

    def gains(self, address: str) -> None:
        """Somebody imports a contact, or fills in a form; everything is on."""
        if address in self.erased_once and self.off.get(address, set()) >= self.topics:
            return  # a tool that keeps opt-outs never takes it again; one deleted while on, it does
        if address not in self.contacts:
            self.contacts[address] = self.clock()
            for topic in sorted(self.off.get(address, ())):  # kept since it was deleted
                self.seems_off(address, topic)
        self.log.append(address)

    @property
    def keeps_opt_outs(self) -> bool:
        """Whether its opt-outs outlive a deletion."""
        return self.profile.capabilities.erase is EraseMode.KEEPS_OPT_OUT

    def delete(self, address: str) -> bool:
        """Forget a person, as asked; whether they were there."""
        self.erased.add(address)
        self.erased_once.add(address)
        self.forgot.pop(address, None)
        if not self.keeps_opt_outs:
            self.off.pop(address, None)
        return self.contacts.pop(address, None) is not None

    def turn_off(self, address: str, topics: frozenset[str]) -> None:
        """By its own unsubscribe link."""
        self.off.setdefault(address, set()).update(topics)
        self.log.append(address)

    @property
    def reports_events(self) -> bool:
        """Whether it reports by itself what people do in it."""
        return self.profile.posts or self.profile.capabilities.can_pull

    @property
    def up_since(self) -> datetime | None:
        """Since when it has taken what it is sent; None while it does not."""
        if self.good_since is None or self.resumed_at is None:
            return None
        return max(self.good_since, self.resumed_at)

    def turn_on(self, address: str, topics: frozenset[str], *, asked: bool = False) -> None:
        """By its own subscribe form, or because it forgot; or as the service has just `asked`."""
        turned = topics & self.off.get(address, set())
        for topic in sorted(turned):
            self.off[address].discard(topic)
            self.on_since[address, topic] = self.clock()
            if not asked:
                self.own_since[address, topic] = self.clock()
        if turned:
            self.log.append(address)

    def has_on(self, address: str, topic: str) -> bool:
        """Whether it would mail this."""
        return address in self.contacts and topic not in self.off.get(address, set())

    def target_of(self, topic: str) -> str:
        """Its own name of a topic."""
        return self.profile.targets[topic]

    # --- what the service asks

    def answer(self, lease: Lease, what: str) -> None:
        """One exchange up to where the tool acts; raises its error otherwise."""
        if not lease():
            raise LeaseExpired("the lease has expired")
        if self.profile.polite and self._is_full():
            raise RateLimited("the rate limit is used up", retry_after=timedelta(seconds=MINUTE))
        self.step(what)
        self.clock.sleep(self.random.uniform(0, self.profile.latency))
        if self.good_since is None:
            retry_after = self.random.choice([None, None, 5, 600, 360_000])
            raise DeliveryError(
                "HTTP 503",
                retry_after=None if retry_after is None else timedelta(seconds=retry_after),
            )
        if self._is_full():
            raise DeliveryError("HTTP 429", retry_after=timedelta(seconds=MINUTE))
        self.calls.append(self.clock())
        if self.random.random() < self.profile.errors:
            raise self.random.choice(
                [DeliveryError("HTTP 500"), NoResponse("no answer"), ValueError("not JSON")]
            )

    def _is_full(self) -> bool:
        since = self.clock() - timedelta(seconds=MINUTE)
        self.calls = [call for call in self.calls if call > since]
        return len(self.calls) >= self.profile.per_minute

    def apply(self, batch: Sequence[PushItem], *, late: bool = False) -> None:
        """Act on a push. What it reports afterwards depends on the tool."""
        for item in batch:
            if item.address not in self.contacts:
                continue
            off = self.off.setdefault(item.address, set())
            if late:
                for topic in sorted(item.off - off):
                    self.seems_off(item.address, topic)
            if self.profile.lists_ours:
                self.opt_out_events += [
                    VendorEvent(VendorEventKind.OPTED_OUT, item.address, self.target_of(topic))
                    for topic in sorted(item.off - off)
                ]
            off |= item.off
            self.turn_on(item.address, item.lift, asked=not late)


def shown(item: PushItem) -> str:
    """A request, for the trace."""
    off, on = ",".join(sorted(item.off)), ",".join(sorted(item.lift))
    return f"{item.address} off[{off}] on[{on}]"
