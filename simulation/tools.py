"""A simulated tool: what it remembers, what it says, and how it misbehaves.

It implements `workers.connectors.base` as a vendor's connector and the vendor behind it do
together. All chance is its own, so that one seed makes one behaviour.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import ClassVar, TypeVar

from preference_center.domain.news import News, NewsKind
from simulation.ground import Clock
from simulation.profiles import Profile
from workers.connectors.base import (
    Capabilities,
    DeliveryError,
    Item,
    Outcome,
    Page,
    Report,
    Result,
    Seen,
    UnsupportedByDestination,
)
from workers.connectors.http import LeaseOver, Unanswered
from workers.connectors.pace import Paced
from workers.leases import Lease

T = TypeVar("T")

PAGE = 60
MINUTE = 60.0


class Broken(AssertionError):
    """The service asked a tool for what must never be asked."""


@dataclass(slots=True)
class Tool:
    """One account. `off` is what its own database says: address -> topics that are off."""

    name: str
    profile: Profile
    topics: frozenset[str]
    clock: Clock
    random: Random
    later: Callable[[datetime, str, Callable[[], None]], None]
    """Has something happen at a time, which `str` describes."""
    step: Callable[[str], None]
    """Called between any two steps of whoever called the tool; may never return."""
    trace: Callable[[str], None]
    contacts: dict[str, datetime] = field(default_factory=dict)
    """And when each came."""
    off: dict[str, set[str]] = field(default_factory=dict)
    on_since: dict[tuple[str, str], datetime] = field(default_factory=dict)
    """When a topic was last turned on, by whomever."""
    acted_late: list[tuple[str, str, datetime]] = field(default_factory=list)
    """What it turned off long after it was asked to: nobody can tell that from a person."""
    forgot: dict[str, datetime] = field(default_factory=dict)
    """Of whom it last said that it had acted, and had not; and when."""
    put_off: dict[str, datetime] = field(default_factory=dict)
    """For whom it last asked to be told in a hundred hours, and when."""
    log: list[str] = field(default_factory=list)
    said: list[News] = field(default_factory=list)
    listed: dict[str, int] = field(default_factory=dict)
    """How long each of its lists was when it was last read to its end."""
    good_since: datetime | None = None
    """None while it is down."""
    calls: list[datetime] = field(default_factory=list)

    # --- what happens in the tool itself

    def gains(self, address: str) -> None:
        """Somebody imports a contact, or fills in a form; everything is on."""
        if address not in self.contacts:
            self.contacts[address] = self.clock()
        self.log.append(address)

    def turn_off(self, address: str, topics: frozenset[str]) -> None:
        """By its own unsubscribe link."""
        self.off.setdefault(address, set()).update(topics)
        self.log.append(address)

    def turn_on(self, address: str, topics: frozenset[str]) -> None:
        """By its own subscribe form, or because it forgot."""
        turned = topics & self.off.get(address, set())
        for topic in sorted(turned):
            self.off[address].discard(topic)
            self.on_since[address, topic] = self.clock()
        if turned:
            self.log.append(address)

    def has_on(self, address: str, topic: str) -> bool:
        """Whether it would mail this."""
        return address in self.contacts and topic not in self.off.get(address, set())

    def thing(self, topic: str) -> str:
        """Its own name of a topic."""
        return self.profile.things[topic]

    # --- what the service asks

    def connect(self, _: object, lease: Lease) -> Account:
        """As the workers' `Connect`."""
        return Account(self, lease, self.profile.capabilities)

    def answer(self, lease: Lease, what: str) -> None:
        """One exchange up to where the tool acts; raises what comes of it otherwise."""
        if not lease():
            raise LeaseOver("the lease is over")
        if self.profile.polite and self._is_full():
            raise Paced("the rate limit is used up", retry_after=timedelta(seconds=MINUTE))
        self.step(what)
        self.clock.sleep(self.random.uniform(0, self.profile.latency))
        if self.good_since is None:
            wish = self.random.choice([None, None, 5, 600, 360_000])
            raise DeliveryError(
                "HTTP 503", retry_after=None if wish is None else timedelta(seconds=wish)
            )
        if self._is_full():
            raise DeliveryError("HTTP 429", retry_after=timedelta(seconds=MINUTE))
        self.calls.append(self.clock())
        if self.random.random() < self.profile.errors:
            raise self.random.choice(
                [DeliveryError("HTTP 500"), Unanswered("no answer"), ValueError("not JSON")]
            )

    def _is_full(self) -> bool:
        since = self.clock() - timedelta(seconds=MINUTE)
        self.calls = [call for call in self.calls if call > since]
        return len(self.calls) >= self.profile.per_minute

    def apply(self, batch: Sequence[Item], *, late: bool = False) -> None:
        """Act on a push. What it says of itself afterwards depends on the tool."""
        for item in batch:
            if item.address not in self.contacts:
                continue
            off = self.off.setdefault(item.address, set())
            if late:
                now = self.clock()
                self.acted_late += [(item.address, t, now) for t in sorted(item.off - off)]
            if self.profile.lists_ours:
                self.said += [
                    News(NewsKind.OPTED_OUT, item.address, self.thing(topic))
                    for topic in sorted(item.off - off)
                ]
            off |= item.off
            self.turn_on(item.address, item.lift)


@dataclass(slots=True)
class Account:
    """The connector for one lease. See `Connector`, `Readable`, `Scannable`, `Pullable`."""

    kind: ClassVar[str] = "simulated"
    settings: ClassVar[Mapping[str, str]] = {}
    tool: Tool
    lease: Lease
    capabilities: Capabilities

    def check(self) -> Report:
        """All is well."""
        return Report()

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """Act, or only seem to, at once, never, or long after nobody waits any more."""
        tool, batch = self.tool, sorted(batch, key=lambda item: item.address)
        self._allow(batch)
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

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """What is off, as it is."""
        tool = self.tool
        tool.answer(self.lease, f"{tool.name} read")
        return {
            item.ref: self._off(item.address) if item.address in tool.contacts else None
            for item in batch
        }

    def scan(self, cursor: str | None) -> Page[Seen]:
        """Contacts by change, or all there are."""
        tool = self.tool
        tool.answer(self.lease, f"{tool.name} scan")
        log, start = tool.log, int(cursor or 0)
        if not tool.profile.by_change:
            log = list(tool.contacts)
        some = log[start : start + PAGE]
        tells = tool.profile.tells_off
        rows = [
            Seen(address, off=self._listed_off(address) if tells else None)
            for address in dict.fromkeys(some)
            if address in tool.contacts
        ]
        if start + len(some) >= len(log):
            tool.listed["scan"] = len(tool.log)
        return self._page(
            tuple(rows), start + len(some), len(log), by_change=tool.profile.by_change
        )

    def pull(self, cursor: str | None) -> Page[News]:
        """Opt-outs, the person's and (some tools) ours."""
        tool, start = self.tool, int(cursor or 0)
        tool.answer(self.lease, f"{tool.name} pull")
        some = tool.said[start : start + PAGE]
        tool.listed["pull"] = start + len(some)
        # Without a date or an id, a list tells what is off now, and nothing of the past.
        rows = tuple(news for news in some if news.id or self._is_listed(news))
        return self._page(rows, start + len(some), len(tool.said), by_change=True)

    def _is_listed(self, news: News) -> bool:
        off = self._listed_off(news.address)
        return any(self.tool.thing(topic) == news.thing for topic in off)

    def _listed_off(self, address: str) -> frozenset[str]:
        """What is off as its lists have it, which are a while behind."""
        tool, while_ago = self.tool, timedelta(seconds=self.tool.profile.shows_old)
        turned = {
            topic
            for topic in tool.topics
            if (at := tool.on_since.get((address, topic))) and tool.clock() - at < while_ago
        }
        return self._off(address) | turned

    def _page(self, rows: tuple[T, ...], end: int, there: int, *, by_change: bool) -> Page[T]:
        done = end >= there
        self.tool.step(f"{self.tool.name} listed")
        return Page(rows, None if done and not by_change else str(end), done)

    def _off(self, address: str) -> frozenset[str]:
        return frozenset(self.tool.off.get(address, ()))

    def _allow(self, batch: Sequence[Item]) -> None:
        """Holds the service to what it promised connectors (I10)."""
        if len(batch) > self.capabilities.batch_size:
            raise Broken(f"{self.tool.name} was given a larger batch than it takes")
        for item in batch:
            if not item.off | item.lift <= self.tool.topics:
                raise Broken(f"{self.tool.name} was told of a topic that it does not send (I10)")
            if item.lift and not self.capabilities.can_lift:
                raise UnsupportedByDestination("it can't turn anything on")

    def _one(self, item: Item) -> Outcome:
        tool = self.tool
        if item.address not in tool.contacts:
            return Outcome(Result.ABSENT)
        if tool.random.random() < tool.profile.rows_fail:
            wish = tool.random.choice([None, None, timedelta(hours=100)])
            if wish:
                tool.put_off[item.address] = tool.clock()
            return Outcome(Result.LATER, "busy", wish)
        if tool.random.random() >= tool.profile.forgets:
            tool.apply([item])
            tool.forgot.pop(item.address, None)
        else:  # it only says so; what stays off looks as if a person had turned it off
            held = sorted(item.lift & tool.off.get(item.address, set()))
            tool.acted_late += [(item.address, topic, tool.clock()) for topic in held]
            tool.forgot[item.address] = tool.clock()
        return Outcome(Result.REFLECTED, "200")

    def _time_out(self, batch: Sequence[Item]) -> None:
        """Nobody knows what came of it: it acted, never does, or does so later."""
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
        raise Unanswered("timed out")


def shown(item: Item) -> str:
    """A request, for the trace."""
    off, on = ",".join(sorted(item.off)), ",".join(sorted(item.lift))
    return f"{item.address} off[{off}] on[{on}]"
