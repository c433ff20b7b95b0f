"""`MappedConnector` serves a vendor that holds each topic in a target of its own.

What all of these connectors do alike is here and in `api_connector`: the check of the mapping,
batches, the isolation of an address that the vendor rejects, one outcome for each address,
read-back. A vendor's class states what differs: `rules` as data, and a few methods that each make
one kind of request. `MappedPush` is one push: it decides which requests the push takes.

In a stack trace: `push` -> `MappedPush.run` -> `MappedPush._run_group` -> the vendor's
`fetch_contact(s)` or `write_change(s)`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import inf
from typing import Generic, TypeVar

from preference_center.integrations.base.api_connector import ApiConnector, ReadableApiConnector
from preference_center.integrations.base.contract import (
    DeliveryError,
    PushItem,
    PushOutcome,
    PushResult,
    RequestRejected,
)
from preference_center.integrations.base.mapping import (
    LookupMode,
    RemoteContact,
    TargetChange,
    TargetCheck,
)
from preference_center.integrations.base.push_results import (
    Bisector,
    PushStep,
    absent,
    deferred,
    read_each,
    reflected,
    refused,
    retry_later,
    run_steps,
    worst,
)

Client = TypeVar("Client")


T = TypeVar("T")


_Lookup = tuple[int, str, frozenset[str]]
"""Ref, address, and the targets that a lookup is about."""


class MappedPush(Generic[Client]):
    """One batch, and the client that it goes through."""

    def __init__(
        self, connector: MappedConnector[Client], client: Client, batch: Sequence[PushItem]
    ) -> None:
        self._connector = connector
        self._client = client
        self._batch = batch
        self._rules = connector.rules
        self._topics = connector.config.topics
        self._lookups = Bisector(partial(_fetch_contacts, connector, client))
        self._writes = Bisector(partial(connector.write_changes, client))

    def run(self) -> Mapping[int, PushOutcome]:
        """Send it. Answers and raises like `Connector.push`."""
        if self._rules.target_check is TargetCheck.ALWAYS:
            self._ensure_targets()
        try:
            outcomes = run_steps(self._batch, self._steps())
            self._lookups.ensure_some_accepted()
            self._writes.ensure_some_accepted()
        except RequestRejected:
            if self._rules.target_check in {TargetCheck.ON_REJECTION, TargetCheck.ON_FAILURE}:
                self._ensure_targets()
            raise
        if self._is_target_in_doubt({outcome.result for outcome in outcomes.values()}):
            self._ensure_targets()
        return outcomes

    def _is_target_in_doubt(self, results: Collection[PushResult]) -> bool:
        was_rejected = self._lookups.is_request_rejected or self._writes.is_request_rejected
        match self._rules.target_check:
            case TargetCheck.ON_FAILURE:
                return was_rejected or bool({PushResult.ABSENT, PushResult.REFUSED} & set(results))
            case TargetCheck.ON_REJECTION:
                return was_rejected
            case _:
                return False

    def _ensure_targets(self) -> None:
        self._connector.ensure_targets(self._client, self._named_targets())

    def _named_targets(self) -> frozenset[str]:
        return self._ids(frozenset().union(*(item.off | item.lift for item in self._batch)))

    def _steps(self) -> Iterator[PushStep]:
        """Requests in their order: opt-outs before lifts, and last those that must wait."""
        changes, late = self._changes()
        for group in self._groups(changes):
            yield PushStep(tuple(change.ref for change in group), partial(self._run_group, group))
        for ref in late:
            yield PushStep((ref,), partial(_defer, ref))

    def _changes(self) -> tuple[list[TargetChange], list[int]]:
        """The change of each item, and the refs of which not all ends inside this lease."""
        changes: list[TargetChange] = []
        late, lifts = [], 0
        for item in self._batch:
            off, on = self._ids(item.off), self._ids(item.lift)
            if lifts and on and lifts + len(on) > (self._rules.max_lifts or inf):
                late.append(item.ref)
                on = frozenset()
            lifts += len(on)
            if off | on:
                change = TargetChange(
                    item.ref, item.address, off, on, None, item.since, item.all_off
                )
                changes.append(change)
        changes.sort(key=lambda change: not change.off)
        fitting = changes[: self._rules.max_changes]
        return fitting, late + [change.ref for change in changes[len(fitting) :]]

    def _ids(self, topics: frozenset[str]) -> frozenset[str]:
        return frozenset(self._topics[topic] for topic in topics)

    def _groups(self, changes: Sequence[TargetChange]) -> Iterator[Sequence[TargetChange]]:
        """`changes` as writes: whole, or split as the rules require."""
        size, lift_size = self._rules.group_size, self._rules.lift_group_size
        targets = sorted(set(self._topics.values()))
        if self._rules.by_target:
            for id_ in targets:
                offs = [
                    replace(c, off=frozenset({id_}), on=frozenset())
                    for c in changes
                    if id_ in c.off
                ]
                yield from chunked(offs, size)
        elif lift_size:
            yield from chunked([replace(c, on=frozenset()) for c in changes if c.off], size)
        else:
            yield from chunked(changes, size)
            return
        for id_ in targets:
            ons = [replace(c, off=frozenset(), on=frozenset({id_})) for c in changes if id_ in c.on]
            yield from chunked(ons, lift_size or size)

    def _run_group(self, group: Sequence[TargetChange]) -> Mapping[int, PushOutcome]:
        """A step: look a group up if the rules require it, then write what is left to change."""
        outcomes: dict[int, PushOutcome] = {}
        if self._needs_lookup(group):
            group = list(self._lookup_changes(group, outcomes))
        written = self._writes.send(group)
        found = {change.ref: retry_later() for change in group}
        for _, answer in written.accepted:
            found |= answer
        found |= {change.ref: refused(error.status) for change, error in written.rejected}
        for ref, outcome in found.items():
            outcomes[ref] = worst(outcomes[ref], outcome) if ref in outcomes else outcome
        return outcomes

    def _needs_lookup(self, group: Sequence[TargetChange]) -> bool:
        lifts = any(change.on for change in group)
        return self._rules.lookups is LookupMode.ALL or (
            self._rules.lookups is LookupMode.LIFTS and lifts
        )

    def _lookup_changes(
        self, group: Sequence[TargetChange], outcomes: dict[int, PushOutcome]
    ) -> Iterator[TargetChange]:
        """The changes that remain to be written; `outcomes` gets what is settled already."""
        looked_up = self._lookups.send(
            [(change.ref, change.address, change.off | change.on) for change in group]
        )
        found = {
            ref: contact for _, answer in looked_up.accepted for ref, contact in answer.items()
        }
        outcomes |= {ref: refused(error.status) for (ref, *_), error in looked_up.rejected}
        creates = self._connector.capabilities.can_create and self._connector.config.create_contacts
        for change in group:
            if change.ref not in found:
                continue
            contact = found[change.ref]
            if contact is not None:
                left, outcomes[change.ref] = self._remaining_change(change, contact)
                if left.off or left.on:
                    yield left
            elif creates and change.off:  # nobody is created to be mailed
                yield replace(change, on=frozenset())
            else:
                outcomes[change.ref] = absent("unknown there")

    def _remaining_change(
        self, change: TargetChange, contact: RemoteContact
    ) -> tuple[TargetChange, PushOutcome]:
        if self._rules.compares_contacts:
            return replace(change, contact=contact), reflected("nothing to change")
        return remaining_change(change, contact)


def _defer(ref: int) -> Mapping[int, PushOutcome]:
    return {ref: deferred()}


def remaining_change(
    change: TargetChange, contact: RemoteContact
) -> tuple[TargetChange, PushOutcome]:
    """What `contact` doesn't hold yet of `change`, and the outcome of the rest.

    What is off for a reason that is not ours to lift stays off: the lift is REFUSED.
    """
    exact = {id_: state for id_, state in contact.off_targets.items() if state.is_exact}
    off = frozenset(id_ for id_ in change.off if id_ not in exact or not exact[id_].is_opt_out)
    on = frozenset(id_ for id_ in change.on if id_ in exact and exact[id_].can_lift)
    not_lifted = [exact[id_].reason for id_ in sorted(change.on - on) if id_ in exact]
    left = replace(change, off=off, on=on, contact=contact)
    return left, refused(not_lifted[0]) if not_lifted else reflected("nothing to change")


def fetch_contacts_by_ref(
    connector: MappedConnector[Client], client: Client, items: Sequence[PushItem]
) -> dict[int, RemoteContact | None]:
    """Ref -> what the tool holds of the address; those that can't be looked up are left out."""
    lookups = Bisector(partial(_fetch_contacts, connector, client))
    found: dict[int, RemoteContact | None] = {}
    targets = frozenset(connector.config.topics.values())
    asked = [(item.ref, item.address, targets) for item in items]
    groups = [tuple(group) for group in chunked(asked, connector.rules.group_size)]
    if connector.rules.group_size == 1:  # a response that can't be read is about that address
        looked_up = list(read_each(groups, lookups.send).values())
    else:
        looked_up = [lookups.send(group) for group in groups]
    for each in looked_up:
        for _, answer in each.accepted:
            found |= answer
    lookups.ensure_some_accepted()
    return found


def _fetch_contacts(
    connector: MappedConnector[Client], client: Client, lookups: Sequence[_Lookup]
) -> dict[int, RemoteContact | None]:
    targets = frozenset[str]().union(*(wanted for *_, wanted in lookups))
    contacts = connector.fetch_contacts(client, [address for _, address, _ in lookups], targets)
    return {ref: contacts[address] for ref, address, _ in lookups if address in contacts}


def chunked(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """`items` in their order, at most `size` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


class MappedConnector(ApiConnector[Client]):
    """An ApiConnector whose push is a change of targets.

    A vendor writes `write_changes` or `write_change`, and the same of `fetch_contacts`.
    """

    def write_changes(
        self, client: Client, changes: Sequence[TargetChange]
    ) -> Mapping[int, PushOutcome]:
        """Make the tool hold `changes`, at most `rules.group_size`; an outcome for each ref.

        A ref that is left out was not acknowledged, and is tried again. Raises RequestRejected
        where the vendor rejects the content: the address at fault is then found by halving.
        """
        return {change.ref: self.write_change(client, change) for change in changes}

    def write_change(self, client: Client, change: TargetChange) -> PushOutcome:
        """The same of one address, for a vendor with a `rules.group_size` of 1."""
        raise NotImplementedError

    def fetch_contacts(
        self, client: Client, addresses: Sequence[str], target_ids: Collection[str]
    ) -> Mapping[str, RemoteContact | None]:
        """What the tool holds of each address, at most `rules.group_size`; None if unknown there.

        Of `target_ids` at least, where a target is a request of its own. An address that is left
        out could not be looked up. Needed to read back, and for `rules.lookups`. Raises
        RequestRejected like `write_changes`.
        """
        fetch = partial(self.fetch_contact, client, target_ids=target_ids)
        if len(addresses) == 1:
            return {addresses[0]: fetch(addresses[0])}
        return read_each(addresses, fetch)

    def fetch_contact(
        self, client: Client, address: str, target_ids: Collection[str]
    ) -> RemoteContact | None:
        """The same of one address, for a vendor that is asked about one at a time."""
        raise NotImplementedError

    def ensure_targets(self, client: Client, target_ids: Collection[str]) -> None:
        """Raise DeliveryError (permanent) when one of these targets can't be used."""
        needed = set(target_ids) - {self.rules.account_target}
        if not needed:
            return
        targets = {target.id: target for target in self.list_targets(client)}
        usable = {id_ for id_, target in targets.items() if not target.unusable_reason}
        gone = {t: id_ for t, id_ in sorted(self.config.topics.items()) if id_ in needed - usable}
        if gone:
            reasons = {targets[id_].unusable_reason for id_ in gone.values() if id_ in targets}
            raise DeliveryError(
                f"{self.config.name}: {', '.join(gone)} is mapped to no {self.rules.target_noun} "
                f"that can be used any more: {'; '.join(sorted(reasons)) or 'map it again'}",
                permanent=True,
            )

    def push_batch(self, client: Client, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See ApiConnector. Opt-outs go before lifts."""
        return MappedPush(self, client, batch).run()


class ReadableConnector(MappedConnector[Client], ReadableApiConnector[Client]):
    """A MappedConnector with `can_read`: it has `fetch_contacts` or `fetch_contact`."""

    def read_batch(
        self, client: Client, batch: Sequence[PushItem]
    ) -> Mapping[int, frozenset[str] | None]:
        """See ReadableApiConnector. What is off by nobody's act counts only where it is wanted."""
        contacts = fetch_contacts_by_ref(self, client, batch[: self._max_reads()])
        return {
            item.ref: self.off_topics(contact, item.off) if contact else None
            for item in batch
            if (contact := contacts.get(item.ref)) or item.ref in contacts
        }

    def _max_reads(self) -> int | None:
        """How many addresses are looked up at once."""
        max_reads = self.rules.max_reads
        if max_reads is None or not self.rules.by_target:
            return max_reads
        return max(1, max_reads // max(1, len(self.config.topics)))

    def off_topics(
        self, contact: RemoteContact, wanted: Collection[str] = frozenset()
    ) -> frozenset[str]:
        """The topics that are off there; by nobody's act only those `wanted` off."""
        states = contact.off_targets
        return frozenset(
            topic
            for topic, target in self.config.topics.items()
            if target in states and (states[target].is_opt_out or topic in wanted)
        )
