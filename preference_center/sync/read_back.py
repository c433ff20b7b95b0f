"""Reading back what was pushed: a missing opt-out is drift, one too many is news (I13)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from preference_center.domain.sync.contract import Item, Result, Seen
from preference_center.domain.sync.destination import Destination
from preference_center.domain.sync.plan import standing, topics_by_channel
from preference_center.domain.sync.state import State
from preference_center.extensions import services
from preference_center.ingest.record import take_in
from preference_center.integrations.base.contract import Connector, Readable
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection, run, run_at_once
from preference_center.storage.ledger.addresses import readable
from preference_center.storage.ledger.suppression_lookup import NO_FACTS, facts_by_id
from preference_center.storage.sync import listings, verification
from preference_center.storage.sync.listings import Tally
from preference_center.storage.sync.verification import Found

SAMPLE = 50
"""How many rows are looked at each time, though nobody asked for them."""


@dataclass(slots=True)
class _Found:
    """What is to be done, by address id -> version that was looked at."""

    good: dict[int, int] = field(default_factory=dict)
    absent: dict[int, int] = field(default_factory=dict)
    drifted: dict[int, int] = field(default_factory=dict)
    arrived: dict[int, int] = field(default_factory=dict)
    """Absent before, there now, and not suppressed."""
    held: dict[int, Found] = field(default_factory=dict)
    """Absent before, there now, and suppressed."""
    left: dict[int, int] = field(default_factory=dict)
    """Not looked at, while others were: more than the tool reads at once."""


def read_back(
    destination: Destination, connector: Connector, *, until: datetime, sample: bool
) -> bool:
    """Check the rows that are due, a batch of them; whether there may be more.

    Raises DeliveryError.

    A worker that dies leaves them to be checked again at `until`.
    """
    context, now = services(), services().now()
    limit = connector.capabilities.batch_size
    if sample and connector.capabilities.can_read:
        at = context.random.random()
        size = min(limit, SAMPLE)
        run_at_once(lambda c: verification.sample(c, destination.id, at=at, limit=size, now=now))
    states = run_at_once(
        lambda c: verification.take(c, destination.id, now=now, until=until, limit=limit)
    )
    # What waits is pushed anyway, and read back after that.
    settled = {number: state for number, state in states.items() if not state.waits}
    if not settled:
        return len(states) == limit
    if not connector.capabilities.can_read:
        versions = {number: state.wanted for number, state in settled.items()}
        run(lambda c: verification.knock_again(c, destination.id, versions, now))
        return len(states) == limit
    items = _items(destination, connector, settled)
    off = cast("Readable", connector).read(list(items.values())) if items else {}
    found = _compare(items, settled, off)
    seen = [
        Seen(items[number].address, items[number].channel, there)
        for number, there in off.items()
        if there and there - items[number].off
    ]
    run(lambda c: _write(c, destination, found, now))
    if seen:
        take_in(destination, connector, seen)
    return len(states) == limit or bool(found.left)


def _items(
    destination: Destination, connector: Connector, states: Mapping[int, State]
) -> dict[int, Item]:
    """What should be off there for each address that we can still read."""
    context = services()
    topics = topics_by_channel(destination, current_catalogue())
    addresses = run_at_once(lambda c: readable(c, context.keys, list(states)))
    facts = run_at_once(lambda c: facts_by_id(c, list(states)))
    can_lift = connector.capabilities.can_lift
    items = {}
    for number, (channel, text) in addresses.items():
        sent = topics.get(channel, frozenset())
        known = facts.get(number, NO_FACTS)
        wanted = standing(sent, known, context.now(), can_lift=can_lift)
        items[number] = Item(number, text, channel, off=frozenset(wanted))
    return items


def _compare(
    items: Mapping[int, Item],
    states: Mapping[int, State],
    off: Mapping[int, frozenset[str] | None],
) -> _Found:
    found = _Found()
    for number, state in states.items():
        item = items.get(number)
        if item is None:
            found.good[number] = state.wanted  # nothing readable: nothing to ask for
        elif number not in off:
            if off:  # else none could be: asked again when this hold is over
                found.left[number] = state.wanted
        elif (there := off[number]) is None:
            found.absent[number] = state.wanted
        elif item.off <= there and state.outcome == Result.ABSENT:
            found.held[number] = Found(state.wanted, state.told | item.off, None)
        elif item.off <= there:
            found.good[number] = state.wanted
        elif state.outcome == Result.ABSENT:
            found.arrived[number] = state.wanted
        else:
            found.drifted[number] = state.wanted
    return found


def _write(connection: Connection, destination: Destination, found: _Found, now: datetime) -> None:
    number = destination.id
    verification.confirm(connection, number, found.good, now)
    verification.settle_found(connection, number, found.held, now)
    verification.look_again(connection, number, found.absent, now)
    verification.look_now(connection, number, found.left, now)
    raised = verification.push_again(connection, number, found.arrived, now, drifted=False)
    drift = verification.push_again(connection, number, found.drifted, now, drifted=True)
    checked = len(found.good) + len(found.held) + len(found.absent) + len(found.arrived)
    checked += len(found.drifted)
    listings.add(connection, number, Tally(checked=checked, raised=raised, drift=drift))
