"""Taking in what a tool says: news becomes events, contacts get what they need (I13).

Everything that a page or a webhook says is one transaction: the events, what the tool need
not be told any more because it says so itself, what must be pushed, the tally, and the
cursor or the mark that it was done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import cast

from preference_center import bounces
from preference_center.destinations.permanent_links import link_maker
from preference_center.domain.addresses import Channel
from preference_center.domain.events import Change
from preference_center.domain.sync.classify import LAG, Here, Need
from preference_center.domain.sync.contract import Item, LinkItem, Result, Seen
from preference_center.domain.sync.destination import Destination, Status
from preference_center.domain.sync.plan import standing, topics_by_channel
from preference_center.domain.vendor_events import News
from preference_center.extensions import services
from preference_center.ingest.plan import Key, Person, Work, by_address, look_up, weigh
from preference_center.integrations.base.contract import Connector, DeliveryError, Fieldable
from preference_center.ledger import Recorded, record
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection
from preference_center.storage.ledger.suppression_lookup import NO_FACTS, facts_by_id
from preference_center.storage.sync import listings, verification
from preference_center.storage.sync.listings import Tally
from preference_center.storage.sync.verification import Found


def take_in(
    destination: Destination,
    connector: Connector,
    said: Iterable[News | Seen],
    *,
    bulk: bool = False,
    whole: bool = False,
    closely: bool = True,
    beside: Callable[[Connection], None] = lambda _: None,
) -> Tally:
    """Record what is new in it, have who should be suppressed there suppressed.

    `beside` writes what belongs to the same transaction; it may raise to take all back.
    `whole`: it comes of a list of all that is off there now. `closely`: what had been
    confirmed is read back where the listing doesn't tell it.
    Raises DeliveryError when the tool must be told something at once and can't be.
    """
    people, unreadable = by_address(said)
    here = look_up(destination, connector.capabilities, people)
    policy = bounces.policy()
    work = weigh(destination, connector.capabilities, people, here, policy, whole=whole)
    work.tally += Tally(unreadable=unreadable)
    if not closely:
        work.needs.pop(Need.CHECK, None)
    if destination.status is Status.ACTIVE:  # else nothing may be written there
        _push_now(connector, work, people, here)
    work.tally += Tally(links=_write_links(destination, connector, people))
    known = [people[key].address for key in work.needs[Need.LEARN]]

    def together(connection: Connection, recorded: Recorded) -> None:
        tally = work.tally + Tally(recorded=len(recorded.events))
        turned_on = {
            s.address_id: on for key, on in work.on.items() if on and (s := here[key].state)
        }
        verification.count_as_on(connection, destination.id, turned_on)
        _settle(connection, destination, connector, work)
        _note_switches(connection, destination, work)
        _raise(connection, destination, work, here)
        listings.add(connection, destination.id, tally)
        beside(connection)

    changes = [*work.changes, *_of_bounces(work)]
    recorded = record(changes, together, known, bulk=bulk)
    return work.tally + Tally(recorded=len(recorded.events))


def would_take(
    destination: Destination, connector: Connector, said: Iterable[News]
) -> list[Change]:
    """The events that `take_in` would append; nothing is written."""
    people, _ = by_address(said)
    here = look_up(destination, connector.capabilities, people)
    work = weigh(destination, connector.capabilities, people, here, bounces.policy())
    return [*work.changes, *_of_bounces(work, keep=False)]


def _of_bounces(work: Work, *, keep: bool = True) -> list[Change]:
    """What bounces come to; with `keep`, those that are counted are so from now on."""
    judged = bounces.bounced(work.bounces, keep=keep)
    return [each.change for each in judged if each.change is not None]


def _push_now(
    connector: Connector, work: Work, people: Mapping[Key, Person], here: Mapping[Key, Here]
) -> None:
    """Suppress erased people whom the tool has got anew, storing nothing readable (I6)."""
    keys, size = work.needs[Need.PUSH_NOW], connector.capabilities.batch_size
    for start in range(0, len(keys), size):
        items = [
            Item(number, people[key].shown, Channel(key[1]), here[key].wanted)
            for number, key in enumerate(keys[start : start + size])
        ]
        outcomes = connector.push(items)
        for number, key in enumerate(keys[start : start + size]):
            state, outcome = here[key].state, outcomes.get(number)
            if outcome is None or outcome.result is Result.LATER:
                raise DeliveryError("an erased contact could not be suppressed: tried again")
            assert state is not None
            work.told[state.address_id] = (outcome.result, outcome.ack)
    work.tally += Tally(raised=len(keys))


def _write_links(
    destination: Destination, connector: Connector, people: Mapping[Key, Person]
) -> int:
    """Give the contacts that were seen without their standing link theirs; how many."""
    if not connector.capabilities.can_hold_link:
        return 0
    make = link_maker(destination, current_catalogue())
    if make is None:
        return 0
    items = []
    for number, person in enumerate(people.values()):
        if person.seen is not None and person.seen.link is not None:
            link = make(person.address)
            if link != person.seen.link:
                items.append(LinkItem(number, person.shown, person.address.channel, link))
    count, size = 0, connector.capabilities.batch_size
    for start in range(0, len(items), size):
        outcomes = cast("Fieldable", connector).write_links(items[start : start + size])
        count += sum(outcome.result is Result.REFLECTED for outcome in outcomes.values())
    return count


def _settle(
    connection: Connection,
    destination: Destination,
    connector: Connector,
    work: Work,
) -> None:
    """What the tool says is off need not be told to it, if that is all there is to tell.

    What we told does not count: it may not have been heard, or have been forgotten since.
    Whatever else it says counts as told, so that it can be taken back there, too.
    """
    said = {key: off for key, off in work.off.items() if off}
    if not said:
        return
    now, can_lift = services().now(), connector.capabilities.can_lift
    states = verification.by_digest(connection, destination.id, list(said), now)
    waiting = {key: state for key, state in states.items() if state.waits}
    own = {state.address_id: said[key] for key, state in waiting.items()}
    verification.count_as_told(connection, destination.id, own)
    facts = facts_by_id(connection, [state.address_id for state in waiting.values()])
    topics = topics_by_channel(destination, current_catalogue())
    found = {}
    for key, state in waiting.items():
        sent = topics.get(Channel(key[1]), frozenset())
        reasons = standing(sent, facts.get(state.address_id, NO_FACTS), now, can_lift=can_lift)
        told = state.told | said[key]
        surely = reasons.keys() <= work.still_off[key]
        if surely and not (can_lift and told & sent - reasons.keys()):
            ends = [reason.until for reason in reasons.values() if reason.until]
            found[state.address_id] = Found(state.wanted, told, min(ends, default=None))
    verification.settle_found(connection, destination.id, found, now)


def _note_switches(connection: Connection, destination: Destination, work: Work) -> None:
    """Remember how the switches for all stand that differ from what was known."""
    if not work.switches:
        return
    keys, now = list(work.switches), services().now()
    states = verification.by_digest(connection, destination.id, keys, now)
    for is_off in (True, False):
        ids = [state.address_id for key, state in states.items() if work.switches[key] is is_off]
        verification.set_switch(connection, destination.id, ids, is_off=is_off)


def _raise(
    connection: Connection, destination: Destination, work: Work, here: Mapping[Key, Here]
) -> None:
    now = services().now()
    states = {
        need: [state for key in keys if (state := here[key].state) is not None]
        for need, keys in work.needs.items()
    }
    for need, drifted in ((Need.PUSH_AGAIN, False), (Need.REPAIR, True)):
        versions = {state.address_id: state.wanted for state in states.get(need, [])}
        verification.push_again(connection, destination.id, versions, now, drifted=drifted)
    for need, at in ((Need.CHECK, now), (Need.ASK, now + LAG)):
        ids = [state.address_id for state in states.get(need, [])]
        verification.soon(connection, destination.id, ids, at)
    verification.note(connection, destination.id, work.told, now)
