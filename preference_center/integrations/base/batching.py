"""A push that takes several requests: what each address is owed when one of them fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from preference_center.domain.sync.contract import Item, Outcome, Result
from preference_center.integrations.base.bisecting import ABOUT_CONTENT
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.base.http import LeaseOver, Rejected, Unreadable

T = TypeVar("T")
R = TypeVar("R")

# The worst of an item's results counts. LATER outranks REFUSED: the rest must be tried.
_RANK = {Result.REFLECTED: 0, Result.ABSENT: 1, Result.REFUSED: 2, Result.LATER: 3}
MOST_UNREADABLE = 5
"""So many answers in a row that can't be read are no matter of single addresses."""


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a push, and the refs of the items that it serves."""

    refs: tuple[int, ...]
    call: Callable[[], Mapping[int, Outcome]]


def carry_out(batch: Sequence[Item], steps: Iterable[Step]) -> dict[int, Outcome]:
    """Run `steps` in order and sum up per item; an item without a step is reflected.

    A failure that may pass ends the run: what was done counts, the rest is LATER. It is
    raised when nothing was done before, and always when it is permanent or the lease is
    over: pushes are idempotent, so telling too little is safe.

    An answer about one item that can't be read is that item's LATER and no failure of the
    others; MOST_UNREADABLE in a row are one.
    """
    outcomes = {item.ref: Outcome(Result.REFLECTED, "nothing to change") for item in batch}
    touched: set[int] = set()
    failures = _Failures()
    for step in steps:
        found: Mapping[int, Outcome] = {}
        if failures.final is None:
            try:
                found = step.call()
                failures.clear(step)
            except DeliveryError as error:
                failures.add(step, error)
        missing = _later(failures.latest)
        for ref in step.refs:
            outcome = found.get(ref, missing)
            outcomes[ref] = worse(outcomes[ref], outcome) if ref in touched else outcome
            touched.add(ref)
    failures.ensure_some_done()
    return outcomes


class _Failures:
    """What failed in one run, and whether it goes on."""

    def __init__(self) -> None:
        self.final: DeliveryError | None = None
        """What ended the run."""
        self.latest: DeliveryError | None = None
        """What the step failed for that was tried last; None if it did not."""
        self._is_any_done = False
        self._unreadable = 0

    def clear(self, step: Step) -> None:
        """After a step that was answered."""
        self._is_any_done |= bool(step.refs)
        self.latest, self._unreadable = None, 0

    def add(self, step: Step, error: DeliveryError) -> None:
        """After a step that was not. Raises `error` where that is for the whole push."""
        if error.permanent or isinstance(error, LeaseOver):
            raise error
        self.latest = error
        if isinstance(error, Unreadable) and len(step.refs) == 1:
            self._unreadable += 1
        else:
            self._unreadable = MOST_UNREADABLE
        if self._unreadable == MOST_UNREADABLE:
            self.final = error
            self.ensure_some_done()

    def ensure_some_done(self) -> None:
        """Raise what failed where nothing can be said to have happened."""
        if self.latest and not self._is_any_done:
            raise self.latest


def _later(failure: DeliveryError | None) -> Outcome:
    if failure is None:
        return Outcome(Result.LATER, "not acknowledged")
    return Outcome(Result.LATER, str(failure), failure.retry_after)


def read_each(items: Iterable[T], read: Callable[[T], R]) -> dict[T, R]:
    """Item -> what `read` says of it, without those whose answer can't be read.

    Raises Unreadable where that is so of all of several: then it is no matter of single ones.
    """
    found: dict[T, R] = {}
    failures: list[Unreadable] = []
    for item in items:
        try:
            found[item] = read(item)
        except Unreadable as error:
            failures.append(error)
    if len(failures) > 1 and not found:
        raise failures[0]
    return found


def not_yet(item: Item) -> Mapping[int, Outcome]:
    """What an item gets that would make a push too long to end inside a lease."""
    return {item.ref: Outcome(Result.LATER, "a few go at a time", timedelta(seconds=1))}


def worse(one: Outcome, other: Outcome) -> Outcome:
    """The outcome that counts for an item that got both."""
    return other if _RANK[other.result] > _RANK[one.result] else one


def ensure_some_taken(outcomes: Mapping[int, Outcome], ack: str) -> None:
    """Raise Rejected when each of several items, sent one by one, was rejected with `ack`.

    Then the request is at fault, not the addresses.
    """
    if len(outcomes) > 1 and all(outcome.ack == ack for outcome in outcomes.values()):
        raise Rejected("every address was rejected: the request itself must be at fault", 400)


def send_halving(items: Sequence[T], send: Callable[[Sequence[T]], R]) -> list[tuple[list[T], R]]:
    """Send `items` whole; where the tool rejects the content, in halves.

    One bad address must not hold up the others. Returns the parts that were taken; an
    item in none of them was rejected by itself. Raises Rejected when not one of several
    was taken: then the request is at fault, not the addresses.
    """
    taken = _halve(items, send)
    if not taken and len(items) > 1:
        raise Rejected("every address was rejected: the request itself must be at fault", 400)
    return taken


def _halve(items: Sequence[T], send: Callable[[Sequence[T]], R]) -> list[tuple[list[T], R]]:
    try:
        return [(list(items), send(items))]
    except Rejected as error:
        if error.status not in ABOUT_CONTENT:
            raise
        if len(items) == 1:
            return []
        middle = len(items) // 2
        return _halve(items[:middle], send) + _halve(items[middle:], send)
