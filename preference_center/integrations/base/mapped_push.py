"""One push of a `MappedConnector`: which requests it takes, and what came of each address."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Generic, TypeVar

from preference_center.domain.sync.contract import PushItem, PushOutcome, PushResult
from preference_center.integrations.base.batching import PushStep, deferred, run_steps, worst
from preference_center.integrations.base.bisecting import CONTENT_ERROR_STATUSES, MAX_REQUESTS
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.base.http import RequestRejected
from preference_center.integrations.base.targets import (
    LookupMode,
    RemoteContact,
    TargetChange,
    TargetCheck,
)

if TYPE_CHECKING:
    from preference_center.integrations.base.mapped_connector import MappedConnector

Client = TypeVar("Client")
_Lookup = tuple[int, str, frozenset[str]]
"""Ref, address, and the targets that a lookup is about."""
T = TypeVar("T")
R = TypeVar("R")

_UNCHANGED = PushOutcome(PushResult.REFLECTED, "nothing to change")
_NOT_ACKNOWLEDGED = PushOutcome(PushResult.RETRY_LATER, "not acknowledged")
_ABSENT = PushOutcome(PushResult.ABSENT, "unknown there")


class BisectingSender(Generic[T, R]):
    """Sends groups by one kind of request, and halves those whose content the tool rejects."""

    def __init__(self, send: Callable[[Sequence[T]], R]) -> None:
        self._send = send
        self._requests_rejected = 0
        self._is_any_accepted = False
        self.is_request_rejected = False
        """Whether a request was rejected as a whole: what it is about may be gone."""
        self._rejected_items: list[T] = []

    def send(self, group: Sequence[T]) -> tuple[list[tuple[Sequence[T], R]], list[T]]:
        """The parts that were taken, each with its answer, and the items rejected alone.

        What is in neither is left for the next push: MOST requests were rejected. Raises
        Rejected for what is about the request as a whole.
        """
        taken: list[tuple[Sequence[T], R]] = []
        alone: list[T] = []
        waiting = [group] if group else []
        while waiting and self._requests_rejected < MAX_REQUESTS:
            part = waiting.pop()
            try:
                taken.append((part, self._send(part)))
            except RequestRejected as error:
                if error.status not in CONTENT_ERROR_STATUSES:
                    self.is_request_rejected = True
                    raise
                self._requests_rejected += 1
                middle = len(part) // 2
                if middle:
                    waiting += [part[middle:], part[:middle]]
                else:
                    alone += part
        self._is_any_accepted |= bool(taken)
        self._rejected_items += alone
        return taken, alone

    def ensure_some_accepted(self) -> None:
        """Raise Rejected when several items were rejected alone, and none was ever taken."""
        if len(self._rejected_items) > 1 and not self._is_any_accepted:
            raise RequestRejected(
                "every address was rejected: the request itself must be at fault", 400
            )


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
        self._lookup_sender = BisectingSender(partial(_fetch_contacts, connector, client))
        self._write_sender = BisectingSender(partial(connector.write_changes, client))

    def run(self) -> Mapping[int, PushOutcome]:
        """Send it. Answers and raises like `Connector.push`."""
        if self._rules.target_check is TargetCheck.ALWAYS:
            self._ensure_targets()
        try:
            outcomes = run_steps(self._batch, self._steps())
            self._lookup_sender.ensure_some_accepted()
            self._write_sender.ensure_some_accepted()
        except RequestRejected:
            self._check_targets_on_failure()
            raise
        results = {outcome.result for outcome in outcomes.values()}
        was_rejected = (
            self._lookup_sender.is_request_rejected or self._write_sender.is_request_rejected
        )
        if was_rejected or results & {PushResult.ABSENT, PushResult.REFUSED}:
            self._check_targets_on_failure()
        return outcomes

    def _check_targets_on_failure(self) -> None:
        if self._rules.target_check is TargetCheck.ON_FAILURE:
            self._ensure_targets()

    def _ensure_targets(self) -> None:
        """Raise DeliveryError (permanent) when a target that the batch names can't be used."""
        usable = {t.id for t in self._connector.list_targets(self._client) if not t.unusable_reason}
        named: set[str] = set().union(*(item.off | item.lift for item in self._batch))
        gone = sorted(topic for topic in named if self._topics[topic] not in usable)
        if gone:
            raise DeliveryError(
                f"{self._connector.config.name}: {', '.join(gone)} is mapped to no "
                f"{self._rules.target_noun} that can be used any more: map it again",
                permanent=True,
            )

    def _steps(self) -> Iterator[PushStep]:
        """Requests in their order: opt-outs before lifts, and last those that must wait."""
        changes, late = self._changes()
        for group in self._groups(changes):
            yield PushStep(tuple(change.ref for change in group), partial(self._run_group, group))
        for item in late:
            yield PushStep((item.ref,), partial(deferred, item))

    def _changes(self) -> tuple[list[TargetChange], list[PushItem]]:
        """What each item wants, and the items whose lifts don't end inside this lease."""
        changes, late, lifts = [], [], 0
        for item in self._batch:
            on = self._ids(item.lift)
            if lifts and on and lifts + len(on) > (self._rules.max_lifts or inf):
                late.append(item)
                on = frozenset()
            lifts += len(on)
            changes.append(
                TargetChange(item.ref, item.address, self._ids(item.off), on, since=item.since)
            )
        changes.sort(key=lambda change: not change.off)
        return [change for change in changes if change.off or change.on], late

    def _ids(self, topics: frozenset[str]) -> frozenset[str]:
        return frozenset(self._topics[topic] for topic in topics)

    def _groups(self, changes: Sequence[TargetChange]) -> Iterator[Sequence[TargetChange]]:
        if not self._rules.by_target:
            yield from chunked(changes, self._rules.group_size)
            return
        targets = sorted(set(self._topics.values()))
        for id_ in targets:
            offs = [
                replace(c, off=frozenset({id_}), on=frozenset()) for c in changes if id_ in c.off
            ]
            yield from chunked(offs, self._rules.group_size)
        for id_ in targets:
            ons = [replace(c, off=frozenset(), on=frozenset({id_})) for c in changes if id_ in c.on]
            yield from chunked(ons, self._rules.group_size)

    def _run_group(self, group: Sequence[TargetChange]) -> Mapping[int, PushOutcome]:
        """A step: look a group up if the rules say so, then write what is left to change."""
        outcomes: dict[int, PushOutcome] = {}
        if self._needs_lookup(group):
            group = list(self._lookup_changes(group, outcomes))
        taken, alone = self._write_sender.send(group)
        found = dict.fromkeys((change.ref for change in group), _NOT_ACKNOWLEDGED)
        for _, answer in taken:
            found |= answer
        found |= {change.ref: PushOutcome(PushResult.REFUSED, "rejected") for change in alone}
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
        """Those that there is something to write of; `outcomes` gets what is settled already."""
        asked = [(change.ref, change.address, change.off | change.on) for change in group]
        taken, alone = self._lookup_sender.send(asked)
        found = {ref: contact for _, answer in taken for ref, contact in answer.items()}
        outcomes |= {ref: PushOutcome(PushResult.REFUSED, "rejected") for ref, *_ in alone}
        creates = self._connector.capabilities.can_create and self._connector.config.create_contacts
        for change in group:
            if change.ref not in found:
                continue
            contact = found[change.ref]
            if contact is not None:
                left, outcomes[change.ref] = remaining_change(change, contact)
                if left.off or left.on:
                    yield left
            elif creates and change.off:  # nobody is created to be mailed
                yield replace(change, on=frozenset())
            else:
                outcomes[change.ref] = _ABSENT


def remaining_change(
    change: TargetChange, contact: RemoteContact
) -> tuple[TargetChange, PushOutcome]:
    """What `contact` doesn't hold yet of `change`, and what came of the rest.

    What is off for a reason that is not ours to lift stays off: the lift is REFUSED.
    """
    exact = {id_: hold for id_, hold in contact.off_targets.items() if hold.is_exact}
    off = frozenset(id_ for id_ in change.off if id_ not in exact or not exact[id_].is_opt_out)
    on = frozenset(id_ for id_ in change.on if id_ in exact and exact[id_].can_lift)
    refused = [exact[id_].reason for id_ in sorted(change.on - on) if id_ in exact]
    left = replace(change, off=off, on=on, contact=contact)
    return left, PushOutcome(PushResult.REFUSED, refused[0]) if refused else _UNCHANGED


def fetch_contacts_by_ref(
    connector: MappedConnector[Client], client: Client, items: Sequence[PushItem]
) -> dict[int, RemoteContact | None]:
    """Ref -> what the tool holds of the address; those that can't be looked up are left out."""
    looks = BisectingSender(partial(_fetch_contacts, connector, client))
    found: dict[int, RemoteContact | None] = {}
    targets = frozenset(connector.config.topics.values())
    asked = [(item.ref, item.address, targets) for item in items]
    for group in chunked(asked, connector.rules.group_size):
        taken, _ = looks.send(group)
        for _, answer in taken:
            found |= answer
    looks.ensure_some_accepted()
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
