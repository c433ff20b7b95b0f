"""A push that takes several requests: what each address is owed when one of them fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from preference_center.domain.sync.contract import PushItem, PushOutcome, PushResult
from preference_center.integrations.base.bisecting import CONTENT_ERROR_STATUSES
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.base.http import (
    LeaseExpired,
    RequestRejected,
    UnexpectedResponse,
)

T = TypeVar("T")
R = TypeVar("R")

# The worst of an item's results counts. LATER outranks REFUSED: the rest must be tried.
_SEVERITY = {
    PushResult.REFLECTED: 0,
    PushResult.ABSENT: 1,
    PushResult.REFUSED: 2,
    PushResult.RETRY_LATER: 3,
}
MAX_UNEXPECTED_RESPONSES = 5
"""So many answers in a row that can't be read are no matter of single addresses."""


@dataclass(frozen=True, slots=True)
class PushStep:
    """One request of a push, and the refs of the items that it serves."""

    refs: tuple[int, ...]
    call: Callable[[], Mapping[int, PushOutcome]]


def run_steps(batch: Sequence[PushItem], steps: Iterable[PushStep]) -> dict[int, PushOutcome]:
    """Run `steps` in order and sum up per item; an item without a step is reflected.

    A failure that may pass ends the run: what was done counts, the rest is LATER. It is
    raised when nothing was done before, and always when it is permanent or the lease is
    over: pushes are idempotent, so telling too little is safe.

    An answer about one item that can't be read is that item's LATER and no failure of the
    others; MOST_UNREADABLE in a row are one.
    """
    outcomes = {item.ref: PushOutcome(PushResult.REFLECTED, "nothing to change") for item in batch}
    touched: set[int] = set()
    failures = _RunFailures()
    for step in steps:
        found: Mapping[int, PushOutcome] = {}
        if failures.fatal is None:
            try:
                found = step.call()
                failures.record_success(step)
            except DeliveryError as error:
                failures.record_failure(step, error)
        missing = _retry_later(failures.latest)
        for ref in step.refs:
            outcome = found.get(ref, missing)
            outcomes[ref] = worst(outcomes[ref], outcome) if ref in touched else outcome
            touched.add(ref)
    failures.ensure_some_done()
    return outcomes


class _RunFailures:
    """What failed in one run, and whether it goes on."""

    def __init__(self) -> None:
        self.fatal: DeliveryError | None = None
        """What ended the run."""
        self.latest: DeliveryError | None = None
        """What the step failed for that was tried last; None if it did not."""
        self._is_any_done = False
        self._unexpected_responses = 0

    def record_success(self, step: PushStep) -> None:
        """After a step that was answered."""
        self._is_any_done |= bool(step.refs)
        self.latest, self._unexpected_responses = None, 0

    def record_failure(self, step: PushStep, error: DeliveryError) -> None:
        """After a step that was not. Raises `error` where that is for the whole push."""
        if error.permanent or isinstance(error, LeaseExpired):
            raise error
        self.latest = error
        if isinstance(error, UnexpectedResponse) and len(step.refs) == 1:
            self._unexpected_responses += 1
        else:
            self._unexpected_responses = MAX_UNEXPECTED_RESPONSES
        if self._unexpected_responses == MAX_UNEXPECTED_RESPONSES:
            self.fatal = error
            self.ensure_some_done()

    def ensure_some_done(self) -> None:
        """Raise what failed where nothing can be said to have happened."""
        if self.latest and not self._is_any_done:
            raise self.latest


def _retry_later(failure: DeliveryError | None) -> PushOutcome:
    if failure is None:
        return PushOutcome(PushResult.RETRY_LATER, "not acknowledged")
    return PushOutcome(PushResult.RETRY_LATER, str(failure), failure.retry_after)


def read_each(items: Iterable[T], read: Callable[[T], R]) -> dict[T, R]:
    """Item -> what `read` says of it, without those whose answer can't be read.

    Raises Unreadable where that is so of all of several: then it is no matter of single ones.
    """
    found: dict[T, R] = {}
    failures: list[UnexpectedResponse] = []
    for item in items:
        try:
            found[item] = read(item)
        except UnexpectedResponse as error:
            failures.append(error)
    if len(failures) > 1 and not found:
        raise failures[0]
    return found


def deferred(item: PushItem) -> Mapping[int, PushOutcome]:
    """What an item gets that would make a push too long to end inside a lease."""
    return {
        item.ref: PushOutcome(PushResult.RETRY_LATER, "a few go at a time", timedelta(seconds=1))
    }


def worst(first: PushOutcome, second: PushOutcome) -> PushOutcome:
    """The outcome that counts for an item that got both."""
    return second if _SEVERITY[second.result] > _SEVERITY[first.result] else first


def ensure_some_accepted(outcomes: Mapping[int, PushOutcome], ack: str) -> None:
    """Raise Rejected when each of several items, sent one by one, was rejected with `ack`.

    Then the request is at fault, not the addresses.
    """
    if len(outcomes) > 1 and all(outcome.ack == ack for outcome in outcomes.values()):
        raise RequestRejected(
            "every address was rejected: the request itself must be at fault", 400
        )


def send_bisecting(items: Sequence[T], send: Callable[[Sequence[T]], R]) -> list[tuple[list[T], R]]:
    """Send `items` whole; where the tool rejects the content, in halves.

    One bad address must not hold up the others. Returns the parts that were taken; an
    item in none of them was rejected by itself. Raises Rejected when not one of several
    was taken: then the request is at fault, not the addresses.
    """
    taken = _bisect(items, send)
    if not taken and len(items) > 1:
        raise RequestRejected(
            "every address was rejected: the request itself must be at fault", 400
        )
    return taken


def _bisect(items: Sequence[T], send: Callable[[Sequence[T]], R]) -> list[tuple[list[T], R]]:
    try:
        return [(list(items), send(items))]
    except RequestRejected as error:
        if error.status not in CONTENT_ERROR_STATUSES:
            raise
        if len(items) == 1:
            return []
        middle = len(items) // 2
        return _bisect(items[:middle], send) + _bisect(items[middle:], send)
