"""One push of a `MappedConnector`: which requests it takes, and what came of each address."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Generic, TypeVar

from preference_center.domain.sync.contract import Item, Outcome, Result
from preference_center.integrations.base.batching import Step, carry_out, not_yet, worse
from preference_center.integrations.base.bisecting import ABOUT_CONTENT, MOST
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.base.http import Rejected
from preference_center.integrations.base.targets import Change, Contact, Guard, Looks

if TYPE_CHECKING:
    from preference_center.integrations.base.mapped_connector import MappedConnector

Client = TypeVar("Client")
_Asked = tuple[int, str, frozenset[str]]
"""Ref, address, and the targets that a lookup is about."""
T = TypeVar("T")
R = TypeVar("R")

_UNCHANGED = Outcome(Result.REFLECTED, "nothing to change")
_UNANSWERED = Outcome(Result.LATER, "not acknowledged")
_ABSENT = Outcome(Result.ABSENT, "unknown there")


class Isolation(Generic[T, R]):
    """Sends groups by one kind of request, and halves those whose content the tool rejects."""

    def __init__(self, send: Callable[[Sequence[T]], R]) -> None:
        self._send = send
        self._requests_rejected = 0
        self._is_any_taken = False
        self.was_rejected = False
        """Whether a request was rejected as a whole: what it is about may be gone."""
        self._alone: list[T] = []

    def send(self, group: Sequence[T]) -> tuple[list[tuple[Sequence[T], R]], list[T]]:
        """The parts that were taken, each with its answer, and the items rejected alone.

        What is in neither is left for the next push: MOST requests were rejected. Raises
        Rejected for what is about the request as a whole.
        """
        taken: list[tuple[Sequence[T], R]] = []
        alone: list[T] = []
        waiting = [group] if group else []
        while waiting and self._requests_rejected < MOST:
            part = waiting.pop()
            try:
                taken.append((part, self._send(part)))
            except Rejected as error:
                if error.status not in ABOUT_CONTENT:
                    self.was_rejected = True
                    raise
                self._requests_rejected += 1
                middle = len(part) // 2
                if middle:
                    waiting += [part[middle:], part[:middle]]
                else:
                    alone += part
        self._is_any_taken |= bool(taken)
        self._alone += alone
        return taken, alone

    def ensure_some_taken(self) -> None:
        """Raise Rejected when several items were rejected alone, and none was ever taken."""
        if len(self._alone) > 1 and not self._is_any_taken:
            raise Rejected("every address was rejected: the request itself must be at fault", 400)


class Push(Generic[Client]):
    """One batch, and the client that it goes through."""

    def __init__(
        self, connector: MappedConnector[Client], client: Client, batch: Sequence[Item]
    ) -> None:
        self._connector = connector
        self._client = client
        self._batch = batch
        self._rules = connector.rules
        self._topics = connector.setup.topics
        self._looks = Isolation(partial(_look, connector, client))
        self._writes = Isolation(partial(connector.write, client))

    def run(self) -> Mapping[int, Outcome]:
        """Send it. Answers and raises like `Connector.push`."""
        if self._rules.guard is Guard.ALWAYS:
            self._ensure_targets()
        try:
            outcomes = carry_out(self._batch, self._steps())
            self._looks.ensure_some_taken()
            self._writes.ensure_some_taken()
        except Rejected:
            self._doubt_targets()
            raise
        results = {outcome.result for outcome in outcomes.values()}
        was_rejected = self._looks.was_rejected or self._writes.was_rejected
        if was_rejected or results & {Result.ABSENT, Result.REFUSED}:
            self._doubt_targets()
        return outcomes

    def _doubt_targets(self) -> None:
        if self._rules.guard is Guard.IN_DOUBT:
            self._ensure_targets()

    def _ensure_targets(self) -> None:
        """Raise DeliveryError (permanent) when a target that the batch names can't be used."""
        usable = {t.id for t in self._connector.targets(self._client) if not t.fault}
        named: set[str] = set().union(*(item.off | item.lift for item in self._batch))
        gone = sorted(topic for topic in named if self._topics[topic] not in usable)
        if gone:
            raise DeliveryError(
                f"{self._connector.setup.name}: {', '.join(gone)} is mapped to no "
                f"{self._rules.target} that can be used any more: map it again",
                permanent=True,
            )

    def _steps(self) -> Iterator[Step]:
        """Requests in their order: opt-outs before lifts, and last those that must wait."""
        changes, late = self._changes()
        for group in self._groups(changes):
            yield Step(tuple(change.ref for change in group), partial(self._settle, group))
        for item in late:
            yield Step((item.ref,), partial(not_yet, item))

    def _changes(self) -> tuple[list[Change], list[Item]]:
        """What each item wants, and the items whose lifts don't end inside this lease."""
        changes, late, lifts = [], [], 0
        for item in self._batch:
            on = self._ids(item.lift)
            if lifts and on and lifts + len(on) > (self._rules.lifts or inf):
                late.append(item)
                on = frozenset()
            lifts += len(on)
            changes.append(
                Change(item.ref, item.address, self._ids(item.off), on, since=item.since)
            )
        changes.sort(key=lambda change: not change.off)
        return [change for change in changes if change.off or change.on], late

    def _ids(self, topics: frozenset[str]) -> frozenset[str]:
        return frozenset(self._topics[topic] for topic in topics)

    def _groups(self, changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
        if not self._rules.by_target:
            yield from in_groups(changes, self._rules.group)
            return
        targets = sorted(set(self._topics.values()))
        for id_ in targets:
            offs = [
                replace(c, off=frozenset({id_}), on=frozenset()) for c in changes if id_ in c.off
            ]
            yield from in_groups(offs, self._rules.group)
        for id_ in targets:
            ons = [replace(c, off=frozenset(), on=frozenset({id_})) for c in changes if id_ in c.on]
            yield from in_groups(ons, self._rules.group)

    def _settle(self, group: Sequence[Change]) -> Mapping[int, Outcome]:
        """A step: look a group up if the rules say so, then write what is left to change."""
        outcomes: dict[int, Outcome] = {}
        if self._must_look(group):
            group = list(self._looked_up(group, outcomes))
        taken, alone = self._writes.send(group)
        found = dict.fromkeys((change.ref for change in group), _UNANSWERED)
        for _, answer in taken:
            found |= answer
        found |= {change.ref: Outcome(Result.REFUSED, "rejected") for change in alone}
        for ref, outcome in found.items():
            outcomes[ref] = worse(outcomes[ref], outcome) if ref in outcomes else outcome
        return outcomes

    def _must_look(self, group: Sequence[Change]) -> bool:
        lifts = any(change.on for change in group)
        return self._rules.looks is Looks.ALL or (self._rules.looks is Looks.LIFTS and lifts)

    def _looked_up(self, group: Sequence[Change], outcomes: dict[int, Outcome]) -> Iterator[Change]:
        """Those that there is something to write of; `outcomes` gets what is settled already."""
        asked = [(change.ref, change.address, change.off | change.on) for change in group]
        taken, alone = self._looks.send(asked)
        found = {ref: contact for _, answer in taken for ref, contact in answer.items()}
        outcomes |= {ref: Outcome(Result.REFUSED, "rejected") for ref, *_ in alone}
        creates = self._connector.capabilities.can_create and self._connector.setup.create_contacts
        for change in group:
            if change.ref not in found:
                continue
            contact = found[change.ref]
            if contact is not None:
                left, outcomes[change.ref] = still_to_change(change, contact)
                if left.off or left.on:
                    yield left
            elif creates and change.off:  # nobody is created to be mailed
                yield replace(change, on=frozenset())
            else:
                outcomes[change.ref] = _ABSENT


def still_to_change(change: Change, contact: Contact) -> tuple[Change, Outcome]:
    """What `contact` doesn't hold yet of `change`, and what came of the rest.

    What is off for a reason that is not ours to lift stays off: the lift is REFUSED.
    """
    exact = {id_: hold for id_, hold in contact.held.items() if hold.is_exact}
    off = frozenset(id_ for id_ in change.off if id_ not in exact or not exact[id_].is_opt_out)
    on = frozenset(id_ for id_ in change.on if id_ in exact and exact[id_].may_lift)
    refused = [exact[id_].reason for id_ in sorted(change.on - on) if id_ in exact]
    left = replace(change, off=off, on=on, contact=contact)
    return left, Outcome(Result.REFUSED, refused[0]) if refused else _UNCHANGED


def look_up(
    connector: MappedConnector[Client], client: Client, items: Sequence[Item]
) -> dict[int, Contact | None]:
    """Ref -> what the tool holds of the address; those that can't be looked up are left out."""
    looks = Isolation(partial(_look, connector, client))
    found: dict[int, Contact | None] = {}
    targets = frozenset(connector.setup.topics.values())
    asked = [(item.ref, item.address, targets) for item in items]
    for group in in_groups(asked, connector.rules.group):
        taken, _ = looks.send(group)
        for _, answer in taken:
            found |= answer
    looks.ensure_some_taken()
    return found


def _look(
    connector: MappedConnector[Client], client: Client, asked: Sequence[_Asked]
) -> dict[int, Contact | None]:
    targets = frozenset[str]().union(*(wanted for *_, wanted in asked))
    contacts = connector.look(client, [address for _, address, _ in asked], targets)
    return {ref: contacts[address] for ref, address, _ in asked if address in contacts}


def in_groups(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """`items` in their order, at most `size` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
