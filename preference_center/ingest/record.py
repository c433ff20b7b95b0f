"""Taking in what a tool says: news becomes events, contacts get what they need (I13).

Everything that a page or a webhook says is one transaction: the events, what the tool need
not be told any more because it says so itself, what must be pushed, the tally, and the
cursor or the mark that it was done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import cast

from preference_center import bounces
from preference_center.destinations.permanent_links import permanent_link_builder
from preference_center.domain.addresses import Channel
from preference_center.domain.events import Change
from preference_center.domain.sync.classify import PROPAGATION_DELAY, AddressContext, FollowUp
from preference_center.domain.sync.contract import ContactSnapshot, LinkItem, PushItem, PushResult
from preference_center.domain.sync.destination import Destination, DestinationStatus
from preference_center.domain.sync.plan import active_suppressions, topics_by_channel
from preference_center.domain.vendor_events import VendorEvent
from preference_center.extensions import services
from preference_center.ingest.plan import (
    AddressEvents,
    AddressKey,
    IngestPlan,
    group_by_address,
    load_contexts,
    plan_ingest,
)
from preference_center.integrations.base.contract import Connector, DeliveryError, SupportsLinkField
from preference_center.ledger import RecordResult, record
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection
from preference_center.storage.ledger.suppression_lookup import NO_SCOPE_FACTS, load_facts_by_id
from preference_center.storage.sync import listings, verification
from preference_center.storage.sync.listings import VerificationStats
from preference_center.storage.sync.verification import AlreadyOptedOut


def ingest(
    destination: Destination,
    connector: Connector,
    observations: Iterable[VendorEvent | ContactSnapshot],
    *,
    bulk: bool = False,
    is_full_list: bool = False,
    read_back_confirmed: bool = True,
    in_transaction: Callable[[Connection], None] = lambda _: None,
) -> VerificationStats:
    """Record what is new in it, have who should be suppressed there suppressed.

    `beside` writes what belongs to the same transaction; it may raise to take all back.
    `whole`: it comes of a list of all that is off there now. `closely`: what had been
    confirmed is read back where the listing doesn't tell it.
    Raises DeliveryError when the tool must be told something at once and can't be.
    """
    people, unreadable = group_by_address(observations)
    here = load_contexts(destination, connector.capabilities, people)
    policy = bounces.current_policy()
    work = plan_ingest(
        destination, connector.capabilities, people, here, policy, is_full_list=is_full_list
    )
    work.stats += VerificationStats(unreadable=unreadable)
    if not read_back_confirmed:
        work.follow_ups.pop(FollowUp.READ_BACK_NOW, None)
    if destination.status is DestinationStatus.ACTIVE:  # else nothing may be written there
        _push_now(connector, work, people, here)
    work.stats += VerificationStats(links_written=_write_links(destination, connector, people))
    known = [people[key].address for key in work.follow_ups[FollowUp.PUSH_FIRST_TIME]]

    def write(connection: Connection, recorded: RecordResult) -> None:
        tally = work.stats + VerificationStats(recorded=len(recorded.events))
        turned_on = {
            s.address_id: on for key, on in work.turned_on.items() if on and (s := here[key].state)
        }
        verification.record_turned_on(connection, destination.id, turned_on)
        _settle_reported(connection, destination, connector, work)
        _record_all_off(connection, destination, work)
        _schedule_follow_ups(connection, destination, work, here)
        listings.add_stats(connection, destination.id, tally)
        in_transaction(connection)

    changes = [*work.changes, *_bounce_changes(work)]
    recorded = record(changes, write, known, bulk=bulk)
    return work.stats + VerificationStats(recorded=len(recorded.events))


def preview_ingest(
    destination: Destination, connector: Connector, observations: Iterable[VendorEvent]
) -> list[Change]:
    """The events that `take_in` would append; nothing is written."""
    people, _ = group_by_address(observations)
    here = load_contexts(destination, connector.capabilities, people)
    work = plan_ingest(destination, connector.capabilities, people, here, bounces.current_policy())
    return [*work.changes, *_bounce_changes(work, persist=False)]


def _bounce_changes(plan: IngestPlan, *, persist: bool = True) -> list[Change]:
    """What bounces come to; with `keep`, those that are counted are so from now on."""
    judged = bounces.evaluate_bounces(plan.bounces, store=persist)
    return [each.change for each in judged if each.change is not None]


def _push_now(
    connector: Connector,
    plan: IngestPlan,
    events_by_address: Mapping[AddressKey, AddressEvents],
    contexts: Mapping[AddressKey, AddressContext],
) -> None:
    """Suppress erased people whom the tool has got anew, storing nothing readable (I6)."""
    keys, size = plan.follow_ups[FollowUp.PUSH_NOW], connector.capabilities.batch_size
    for start in range(0, len(keys), size):
        items = [
            PushItem(
                number, events_by_address[key].raw_address, Channel(key[1]), contexts[key].wanted
            )
            for number, key in enumerate(keys[start : start + size])
        ]
        outcomes = connector.push(items)
        for number, key in enumerate(keys[start : start + size]):
            state, outcome = contexts[key].state, outcomes.get(number)
            if outcome is None or outcome.result is PushResult.RETRY_LATER:
                raise DeliveryError("an erased contact could not be suppressed: tried again")
            assert state is not None
            plan.pushed[state.address_id] = (outcome.result, outcome.ack)
    plan.stats += VerificationStats(newly_suppressed=len(keys))


def _write_links(
    destination: Destination,
    connector: Connector,
    events_by_address: Mapping[AddressKey, AddressEvents],
) -> int:
    """Give the contacts that were seen without their standing link theirs; how many."""
    if not connector.capabilities.can_hold_link:
        return 0
    make = permanent_link_builder(destination, current_catalogue())
    if make is None:
        return 0
    items = []
    for number, person in enumerate(events_by_address.values()):
        if person.snapshot is not None and person.snapshot.link is not None:
            link = make(person.address)
            if link != person.snapshot.link:
                items.append(LinkItem(number, person.raw_address, person.address.channel, link))
    count, size = 0, connector.capabilities.batch_size
    for start in range(0, len(items), size):
        outcomes = cast("SupportsLinkField", connector).write_links(items[start : start + size])
        count += sum(outcome.result is PushResult.REFLECTED for outcome in outcomes.values())
    return count


def _settle_reported(
    connection: Connection,
    destination: Destination,
    connector: Connector,
    plan: IngestPlan,
) -> None:
    """What the tool says is off need not be told to it, if that is all there is to tell.

    What we told does not count: it may not have been heard, or have been forgotten since.
    Whatever else it says counts as told, so that it can be taken back there, too.
    """
    said = {key: off for key, off in plan.turned_off.items() if off}
    if not said:
        return
    now, can_lift = services().now(), connector.capabilities.can_lift
    states = verification.load_states_by_digest(connection, destination.id, list(said), now)
    waiting = {key: state for key, state in states.items() if state.push_pending}
    own = {state.address_id: said[key] for key, state in waiting.items()}
    verification.record_turned_off(connection, destination.id, own)
    facts = load_facts_by_id(connection, [state.address_id for state in waiting.values()])
    topics = topics_by_channel(destination, current_catalogue())
    found = {}
    for key, state in waiting.items():
        sent = topics.get(Channel(key[1]), frozenset())
        reasons = active_suppressions(
            sent, facts.get(state.address_id, NO_SCOPE_FACTS), now, can_lift=can_lift
        )
        told = state.turned_off | said[key]
        surely = reasons.keys() <= plan.still_off[key]
        if surely and not (can_lift and told & sent - reasons.keys()):
            ends = [reason.until for reason in reasons.values() if reason.until]
            found[state.address_id] = AlreadyOptedOut(
                state.wanted_version, told, min(ends, default=None)
            )
    verification.settle_already_opted_out(connection, destination.id, found, now)


def _record_all_off(connection: Connection, destination: Destination, plan: IngestPlan) -> None:
    """Remember how the switches for all stand that differ from what was known."""
    if not plan.all_off:
        return
    keys, now = list(plan.all_off), services().now()
    states = verification.load_states_by_digest(connection, destination.id, keys, now)
    for is_off in (True, False):
        ids = [state.address_id for key, state in states.items() if plan.all_off[key] is is_off]
        verification.record_all_marketing_switch(connection, destination.id, ids, is_off=is_off)


def _schedule_follow_ups(
    connection: Connection,
    destination: Destination,
    plan: IngestPlan,
    contexts: Mapping[AddressKey, AddressContext],
) -> None:
    now = services().now()
    states = {
        need: [state for key in keys if (state := contexts[key].state) is not None]
        for need, keys in plan.follow_ups.items()
    }
    for need, drifted in ((FollowUp.REPUSH, False), (FollowUp.REPAIR_DRIFT, True)):
        versions = {state.address_id: state.wanted_version for state in states.get(need, [])}
        verification.requeue_push(connection, destination.id, versions, now, drifted=drifted)
    for need, at in (
        (FollowUp.READ_BACK_NOW, now),
        (FollowUp.READ_BACK_LATER, now + PROPAGATION_DELAY),
    ):
        ids = [state.address_id for state in states.get(need, [])]
        verification.schedule_check(connection, destination.id, ids, at)
    verification.append_deliveries(connection, destination.id, plan.pushed, now)
