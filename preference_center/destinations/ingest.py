"""`ingest` records the events and contacts that a tool reports, and does what follows (I13).

Reports are grouped by address, with what is known of these addresses, and with which of the people
on a page or in a batch were erased (I6).

Everything about one page or one batch of webhooks is one transaction: the new events, what the
tool need not be sent because it reports it itself, what must be pushed, the statistics, and the
cursor or the note that the batch was processed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import InvalidAddress
from preference_center.core.events import Change, EventKind, ScopeFact
from preference_center.destinations.rules.classify import PROPAGATION_DELAY, AddressContext
from preference_center.destinations.rules.follow_ups import FollowUp
from preference_center.destinations.rules.plan import (
    active_suppressions,
    first_end,
    topics_by_channel,
)
from preference_center.destinations.rules.reported import (
    AddressEvents,
    AddressKey,
    IngestPlan,
    IngestRules,
    is_shown_since,
    plan_ingest,
)
from preference_center.destinations.rules.states import (
    Destination,
    DestinationStatus,
    VerificationStats,
)
from preference_center.destinations.store import listings, verification
from preference_center.destinations.store.verification import AlreadyOptedOut
from preference_center.destinations.write_links import write_links
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit
from preference_center.infra.hooks import Hook
from preference_center.integrations.base.contract import (
    Capabilities,
    Connector,
    ContactSnapshot,
    DeliveryError,
    PushItem,
)
from preference_center.integrations.base.vendor_events import VendorEvent
from preference_center.ledger import RecordResult, bounces, record
from preference_center.ledger.store.addresses import seal_address
from preference_center.ledger.store.events import find_imported, find_recorded
from preference_center.ledger.store.lookup import NO_SCOPE_FACTS, load_facts, load_facts_by_id


def group_by_address(
    observations: Iterable[VendorEvent | ContactSnapshot],
) -> tuple[dict[AddressKey, AddressEvents], int]:
    """The observations by address, and the number of those whose address can't be parsed."""
    context = services()
    grouped: dict[AddressKey, AddressEvents] = {}
    unreadable = 0
    for each in observations:
        try:
            address = parse_address(
                each.address, each.channel, region=context.settings.phone_region
            )
        except InvalidAddress:
            unreadable += 1
            continue
        key = (context.keys.exact_digest(address), address.channel.value)
        of_address = grouped.setdefault(key, AddressEvents(address, each.address))
        of_address.earlier_digests = context.keys.earlier_exact_digests(address)
        if isinstance(each, ContactSnapshot):
            of_address.snapshot = each
        else:
            of_address.events.append(each)
    return grouped, unreadable


def load_contexts(
    destination: Destination,
    capabilities: Capabilities,
    events_by_address: Mapping[AddressKey, AddressEvents],
    now: datetime,
) -> dict[AddressKey, AddressContext]:
    """What is known of these addresses and the destination."""
    topics = topics_by_channel(destination, current_catalogue())
    addresses = [each.address for each in events_by_address.values()]
    all_facts = load_facts(addresses) if addresses else []
    states = run_autocommit(
        lambda c: verification.load_states_by_digest(
            c, destination.id, list(events_by_address), now
        )
    )
    imported = _find_imported(events_by_address.values(), all_facts)
    contexts = {}
    for key, address, facts in zip(events_by_address, addresses, all_facts, strict=True):
        sent = topics.get(address.channel, frozenset())
        wanted = active_suppressions(sent, facts, now, can_lift=capabilities.can_lift)
        contexts[key] = AddressContext(facts, sent, frozenset(wanted), states.get(key), imported)
    return contexts


def _find_imported(
    reported: Iterable[AddressEvents], all_facts: Iterable[Sequence[ScopeFact]]
) -> frozenset[UUID]:
    """The opt-outs by imports of the addresses about which the tool reports acts."""
    opt_outs = [
        fact.state.opt_out.event
        for each, facts in zip(reported, all_facts, strict=True)
        if each.events
        for fact in facts
        if fact.exact and fact.state.opt_out
    ]
    return run_autocommit(lambda c: find_imported(c, opt_outs)) if opt_outs else frozenset()


_OF_EVENTS = {FollowUp.READ_BACK_LATER}
"""Follow-ups that an event alone may have, without a contact."""


def reappeared(
    plan: IngestPlan,
    events_by_address: Mapping[AddressKey, AddressEvents],
    contexts: Mapping[AddressKey, AddressContext],
) -> dict[int, tuple[UUID, bytes]]:
    """The erased addresses that the tool has as contacts, as `erased_seen_again` takes them."""
    keys = {key for key, each in events_by_address.items() if each.snapshot is not None}
    for follow_up, found in plan.follow_ups.items():
        if follow_up not in _OF_EVENTS:
            keys.update(found)
    context = services()
    return {
        state.address_id: (
            context.new_id(),
            seal_address(context.keys, events_by_address[key].address),
        )
        for key in keys
        if (state := contexts[key].state) is not None and state.erased
    }


@Hook
def erased_seen_again(
    connection: Connection,
    destination: int,
    seen: Mapping[int, tuple[UUID, bytes]],
    now: datetime,
) -> Collection[int]:
    """A tool has these addresses, which were erased, in the transaction of `connection` (I6).

    `seen` has, per address id, the id that a new erasure gets, and the sealed address. Returns the
    addresses that are to be erased there again.
    """
    raise NotImplementedError


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
    """Record what is new, and have suppressed there who should be.

    `in_transaction` writes what belongs to the same transaction; it may raise to roll back.
    `is_full_list`: the observations belong to a list of everything that is off there now.
    `read_back_confirmed`: read back what had been confirmed where the listing doesn't show it.
    Raises DeliveryError when the tool must be sent something at once and can't be: what is new is
    recorded all the same, but not `in_transaction`, so that the observations are ingested again.
    """
    now = services().now()
    events_by_address, unreadable = group_by_address(observations)
    contexts = load_contexts(destination, connector.capabilities, events_by_address, now)
    rules = _rules(destination, connector, now, is_full_list=is_full_list)
    plan = _plan(rules, events_by_address, contexts)
    plan.stats += VerificationStats(unreadable=unreadable)
    if not read_back_confirmed:
        plan.follow_ups.pop(FollowUp.READ_BACK_NOW, None)
    failure: DeliveryError | None = None
    try:
        if destination.status is DestinationStatus.ACTIVE:  # else nothing may be written there
            _push_now(connector, plan, events_by_address, contexts)
        links_written = write_links(destination, connector, events_by_address, contexts)
        plan.stats += VerificationStats(links_written=links_written)
    except DeliveryError as error:
        failure = error
    new_there = [
        events_by_address[key].address for key in plan.follow_ups[FollowUp.PUSH_FIRST_TIME]
    ]

    seen_again = reappeared(plan, events_by_address, contexts)

    def write(connection: Connection, recorded: RecordResult) -> None:
        stats = plan.stats + VerificationStats(recorded=len(recorded.events))
        _record_turned_on(connection, destination, plan, contexts)
        _settle_reported(connection, destination, connector, plan, now)
        _record_all_off(connection, destination, plan, now)
        _schedule_follow_ups(connection, destination, plan, contexts, now)
        if destination.status is DestinationStatus.ACTIVE:
            erased_seen_again(connection, destination.id, seen_again, now)
        if failure is None:
            listings.add_stats(connection, destination.id, stats)
            in_transaction(connection)

    changes = [*plan.changes, *_bounce_changes(plan, now)]
    recorded = record(changes, write, new_there, bulk=bulk)
    if failure is not None:
        raise failure
    return plan.stats + VerificationStats(recorded=len(recorded.events))


def preview_ingest(
    destination: Destination, connector: Connector, observations: Iterable[VendorEvent]
) -> list[Change]:
    """The events that `ingest` would append; nothing is written."""
    now = services().now()
    events_by_address, _ = group_by_address(observations)
    contexts = load_contexts(destination, connector.capabilities, events_by_address, now)
    plan = _plan(_rules(destination, connector, now), events_by_address, contexts)
    return [*plan.changes, *_bounce_changes(plan, now, store=False)]


def _rules(
    destination: Destination, connector: Connector, now: datetime, *, is_full_list: bool = False
) -> IngestRules:
    return IngestRules(
        destination,
        connector.capabilities,
        bounces.current_policy(),
        now,
        services().new_id,
        is_full_list,
    )


def _plan(
    rules: IngestRules,
    events_by_address: Mapping[AddressKey, AddressEvents],
    contexts: Mapping[AddressKey, AddressContext],
) -> IngestPlan:
    """The plan; an act that was recorded with fewer digest keys has the id of then."""
    plan = plan_ingest(rules, events_by_address, contexts)
    if plan.earlier_ids:
        plan.keep_recorded_ids(run_autocommit(lambda c: find_recorded(c, plan.earlier_ids)))
    return plan


def _bounce_changes(plan: IngestPlan, now: datetime, *, store: bool = True) -> list[Change]:
    """The changes by bounces; with `store`, those that are counted are counted from now on."""
    evaluated = bounces.evaluate_bounces(plan.bounces, now, store=store)
    return [each.change for each in evaluated if each.change is not None]


def _record_turned_on(
    connection: Connection,
    destination: Destination,
    plan: IngestPlan,
    contexts: Mapping[AddressKey, AddressContext],
) -> None:
    turned_on = {
        state.address_id: topics
        for key, topics in plan.turned_on.items()
        if topics and (state := contexts[key].state)
    }
    verification.record_turned_on(connection, destination.id, turned_on)


def _push_now(
    connector: Connector,
    plan: IngestPlan,
    events_by_address: Mapping[AddressKey, AddressEvents],
    contexts: Mapping[AddressKey, AddressContext],
) -> None:
    """Suppress erased addresses that the tool has gained again, storing nothing readable (I6)."""
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
            if outcome is None or outcome.is_open:
                raise DeliveryError("an erased contact could not be suppressed: tried again")
            assert state is not None
            plan.pushed[state.address_id] = outcome.result
    plan.stats += VerificationStats(newly_suppressed=len(keys))


def _settle_reported(
    connection: Connection,
    destination: Destination,
    connector: Connector,
    plan: IngestPlan,
    now: datetime,
) -> None:
    """Settle rows whose whole state the tool reports itself: nothing need be pushed.

    What we pushed earlier does not count: the push may have been lost, or forgotten since. Nor
    does what it shows of before a newer opt-out: see `is_shown_since`.
    What the tool reports as off counts as turned off by a push, so that it can be lifted there.
    """
    reported = {key: off for key, off in plan.turned_off.items() if off}
    if not reported:
        return
    states = verification.load_states_by_digest(connection, destination.id, list(reported), now)
    pending = {key: state for key, state in states.items() if state.push_pending}
    turned_off = {state.address_id: reported[key] for key, state in pending.items()}
    verification.record_turned_off(connection, destination.id, turned_off)
    facts = load_facts_by_id(connection, [state.address_id for state in pending.values()])
    topics = topics_by_channel(destination, current_catalogue())
    can_lift = connector.capabilities.can_lift
    opt_outs = {change.id for change in plan.changes if change.kind is EventKind.OPTED_OUT}
    settled = {}
    for key, state in pending.items():
        sent = topics.get(Channel(key[1]), frozenset())
        known = facts.get(state.address_id, NO_SCOPE_FACTS)
        reasons = active_suppressions(sent, known, now, can_lift=can_lift)
        off = state.turned_off | reported[key]
        must_lift = can_lift and bool(off & sent - reasons.keys())
        is_shown = reasons.keys() <= plan.still_off[key]
        if is_shown and not must_lift and is_shown_since(sent, known, opt_outs, now):
            settled[state.address_id] = AlreadyOptedOut(
                state.wanted_version, off, first_end(reasons)
            )
    verification.settle_already_opted_out(connection, destination.id, settled, now)


def _record_all_off(
    connection: Connection, destination: Destination, plan: IngestPlan, now: datetime
) -> None:
    """Store the contacts' switches for all that differ from what was known."""
    if not plan.all_off:
        return
    keys = list(plan.all_off)
    states = verification.load_states_by_digest(connection, destination.id, keys, now)
    for is_off in (True, False):
        ids = [state.address_id for key, state in states.items() if plan.all_off[key] is is_off]
        verification.record_all_marketing_switch(connection, destination.id, ids, is_off=is_off)


def _schedule_follow_ups(
    connection: Connection,
    destination: Destination,
    plan: IngestPlan,
    contexts: Mapping[AddressKey, AddressContext],
    now: datetime,
) -> None:
    states = {
        follow_up: [state for key in keys if (state := contexts[key].state) is not None]
        for follow_up, keys in plan.follow_ups.items()
    }
    for follow_up, drifted in ((FollowUp.REPUSH, False), (FollowUp.REPAIR_DRIFT, True)):
        versions = {state.address_id: state.wanted_version for state in states.get(follow_up, [])}
        verification.requeue_push(connection, destination.id, versions, now, drifted=drifted)
    for follow_up, at in (
        (FollowUp.READ_BACK_NOW, now),
        (FollowUp.READ_BACK_LATER, now + PROPAGATION_DELAY),
    ):
        ids = [state.address_id for state in states.get(follow_up, [])]
        verification.schedule_check(connection, destination.id, ids, at)
    verification.append_deliveries(connection, destination.id, plan.pushed, now)
