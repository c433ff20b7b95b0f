"""A push that takes several requests: the outcome of each address when one of them fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.base.http import (
    LeaseExpired,
    RequestRejected,
    UnexpectedResponse,
)
from preference_center.integrations.base.outcomes import reflected, retry_later, worst
from preference_center.integrations.base.sync_contract import PushItem, PushOutcome

T = TypeVar("T")
R = TypeVar("R")

MAX_UNEXPECTED_RESPONSES = 5
"""So many unreadable responses in a row are not about single addresses."""


@dataclass(frozen=True, slots=True)
class PushStep:
    """One request of a push, and the refs of the items that it serves."""

    refs: tuple[int, ...]
    call: Callable[[], Mapping[int, PushOutcome]]


def run_steps(batch: Sequence[PushItem], steps: Iterable[PushStep]) -> dict[int, PushOutcome]:
    """Run `steps` in order and sum up per item; an item without a step is reflected.

    A failure that may pass ends the run: what was done counts, the rest is RETRY_LATER. It is
    raised when nothing was done before, and always when it is permanent or the lease has
    expired: pushes are idempotent, so reporting too little is safe.

    A response about one item that can't be read is that item's RETRY_LATER and no failure of
    the others; MAX_UNEXPECTED_RESPONSES in a row end the run.
    """
    outcomes = {item.ref: reflected("nothing to change") for item in batch}
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
    """The failures of one run, and whether it continues."""

    def __init__(self) -> None:
        self.fatal: DeliveryError | None = None
        """The failure that ended the run."""
        self.latest: DeliveryError | None = None
        """The failure of the last step that was tried; None if it succeeded."""
        self._is_any_done = False
        self._unexpected_responses = 0

    def record_success(self, step: PushStep) -> None:
        """After a step that succeeded."""
        self._is_any_done |= bool(step.refs)
        self.latest, self._unexpected_responses = None, 0

    def record_failure(self, step: PushStep, error: DeliveryError) -> None:
        """After a step that failed. Raises `error` where the whole push has failed."""
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
        """Raise the last failure where nothing was done."""
        if self.latest and not self._is_any_done:
            raise self.latest


def _retry_later(failure: DeliveryError | None) -> PushOutcome:
    return retry_later(str(failure), failure.retry_after) if failure else retry_later()


def read_each(items: Iterable[T], read: Callable[[T], R]) -> dict[T, R]:
    """Item -> what `read` returns for it, without those whose response can't be read.

    Raises UnexpectedResponse where that is so of all of several.
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


def ensure_some_accepted(outcomes: Mapping[int, PushOutcome], ack: str) -> None:
    """Raise RequestRejected when each of several items, sent one by one, was rejected with `ack`.

    Then the request is at fault, not the addresses.
    """
    if len(outcomes) > 1 and all(outcome.ack == ack for outcome in outcomes.values()):
        raise RequestRejected(
            "every address was rejected: the request itself must be at fault", 400
        )
