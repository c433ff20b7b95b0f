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
    No,
    Progress,
    Step,
    Told,
    progress,
    standing_nos,
)
from preference_center.domain.events import Event
from preference_center.domain.receipt_codes import reference
from preference_center.extensions import services
from preference_center.storage.db.database import Connection, run
from preference_center.storage.ledger.events import events_by_id
from preference_center.storage.ledger.suppression_lookup import exact_facts_for
from preference_center.storage.sync.delivery_status import address_id, standings

_ACRONYMS = {"cdp", "crm", "erp", "esp", "sms"}
_SHOWN = {Step.TOLD: "reflected", Step.ABSENT: "absent"}


@dataclass(frozen=True, slots=True)
class OptOut:
    """One "no" that stands.

    `event` is None while it has come by mail and its address was not known to us then.
    """

    no: No
    event: Event | None

    @property
    def reference(self) -> str:
        """What support finds it by."""
        return reference(self.no.event)

    @property
    def received_at(self) -> datetime:
        """When it reached the company."""
        return self.event.received_at if self.event else self.no.since

    @property
    def recorded_at(self) -> datetime:
        """From when on no sender who asks gets a yes (I2)."""
        return self.event.recorded_at if self.event else self.no.since

    @property
    def how(self) -> str:
        """How it reached the company, in a word: a `Via`, a method or a source."""
        if self.event is None:
            return "mailto"
        evidence = self.event.evidence
        return evidence.get("via") or evidence.get("method") or self.event.source


def title_of_tool(name: str) -> str:
    """The destination's name as people write: `email-tool` is `Email tool`."""
    words = name.replace("-", " ").replace("_", " ").split()
    text = " ".join(word.upper() if word in _ACRONYMS else word for word in words)
    return text[:1].upper() + text[1:]


@dataclass(frozen=True, slots=True)
class Place:
    """One connected tool, and how far it is. `told` are its answers, the newest first."""

    name: str
    progress: Progress
    told: Sequence[Told]

    @property
    def title(self) -> str:
        """What the page calls it."""
        return title_of_tool(self.name)

    @property
    def earlier(self) -> list[Told]:
        """What it answered besides what `progress` says."""
        shown = _SHOWN.get(self.progress.step)
        return [told for told in self.told if told.outcome != shown]


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Everything that the page and the receipt show of one address."""

    opt_outs: Sequence[OptOut]
    places: Sequence[Place]


def whereabouts(
    address: Address, catalogue: Catalogue, now: datetime, scopes: Collection[str] | None = None
) -> Whereabouts:
    """What stands against writing to exactly this address, and who knows.

    With `scopes`, only what concerns these.
    """
    nos = standing_nos(exact_facts_for([address])[0], now)
    if scopes is not None:
        nos = [no for no in nos if no.scope in scopes]
    if not nos:
        return Whereabouts((), ())
    return run(lambda connection: _look(connection, address, nos, catalogue, now))


def _look(
    connection: Connection,
    address: Address,
    nos: Sequence[No],
    catalogue: Catalogue,
    now: datetime,
) -> Whereabouts:
    events = events_by_id(connection, [no.event for no in nos])
    opt_outs = [OptOut(no, events.get(no.event)) for no in nos]
    owner = address_id(connection, services().keys.exact(address), address.channel)
    if owner is None:
        return Whereabouts(opt_outs, ())
    dated = [(each.no, each.received_at) for each in opt_outs]
    topics = {topic.key for topic in catalogue.topics_on(address.channel)}
    places = [
        Place(each.tool.name, progress(each.tool, each.row, each.told, dated, now), each.told)
        for each in standings(connection, owner, topics)
    ]
    return Whereabouts(opt_outs, places)
