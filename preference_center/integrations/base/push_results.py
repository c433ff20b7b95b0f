"""This module turns a vendor's responses into the outcome of each address of a push.

No other place turns a status into an outcome. `run_steps` is for a push that takes several
requests of which one may fail.

`Bisector` finds which items of a rejected request are at fault: it halves the request until they
are alone, since one bad address must not hold up the others. Nothing else halves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Generic, TypeVar

from preference_center.integrations.base.contract import (
    DeliveryError,
    LeaseExpired,
    PushItem,
    PushOutcome,
    PushResult,
    RequestRejected,
    UnexpectedResponse,
)

CONTENT_ERROR_STATUSES = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
"""Statuses that may be about one item. Others, such as 404, are about the request as a whole."""


# The worst of an item's results counts. RETRY_LATER outranks REFUSED: the rest must be tried.
_SEVERITY = {
    PushResult.REFLECTED: 0,
    PushResult.ABSENT: 1,
    PushResult.REFUSED: 2,
    PushResult.DEFERRED: 3,
    PushResult.RETRY_LATER: 4,
}


def reflected(ack: object = "200") -> PushOutcome:
    """The vendor acknowledged the state; `ack` is its own acknowledgement."""
    return PushOutcome(PushResult.REFLECTED, str(ack))


def absent(ack: object = "404") -> PushOutcome:
    """The vendor does not know the address."""
    return PushOutcome(PushResult.ABSENT, str(ack))


def refused(ack: object = "400") -> PushOutcome:
    """The vendor will never accept this address."""
    return PushOutcome(PushResult.REFUSED, str(ack))


def retry_later(
    reason: object = "not acknowledged", retry_after: timedelta | None = None
) -> PushOutcome:
    """This address failed for now."""
    return PushOutcome(PushResult.RETRY_LATER, str(reason), retry_after)


def deferred() -> PushOutcome:
    """This address would make the push too long to end inside a lease; nothing of it was sent."""
    return PushOutcome(PushResult.DEFERRED, "a few go at a time")


def acknowledged(is_applied: bool, ack: object = "200") -> PushOutcome:  # noqa: FBT001 - what it answers
    """REFLECTED if the response shows the state, else RETRY_LATER."""
    return reflected(ack) if is_applied else retry_later()


def outcome_for_status(status: int) -> PushOutcome:
    """The outcome of a request about one address, by its HTTP status (an `allowed_statuses` one).

    404 and 410: absent; 400, 413 and 422: refused; 2xx: reflected; others: retry later.
    """
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return absent(status)
    if status in CONTENT_ERROR_STATUSES:
        return refused(status)
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return reflected(status)
    return retry_later(status)


def worst(first: PushOutcome, second: PushOutcome) -> PushOutcome:
    """The outcome that counts for an item that got both.

    RETRY_LATER where one part was sent and the other DEFERRED.
    """
    found = second if _SEVERITY[second.result] > _SEVERITY[first.result] else first
    if found.result is PushResult.DEFERRED and first.result is not second.result:
        return retry_later(found.ack)
    return found


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


MAX_REJECTIONS = 60
"""Rejected requests of one push; what has not been sent by then is left for later."""


@dataclass(frozen=True, slots=True)
class Bisected(Generic[T, R]):
    """What was accepted, and who was not. Items in neither are left for the next push."""

    accepted: list[tuple[Sequence[T], R]] = field(default_factory=list)
    """The parts that were accepted, each with its response."""
    rejected: list[tuple[T, RequestRejected]] = field(default_factory=list)
    """The items that were rejected alone, and how."""


class Bisector(Generic[T, R]):
    """Sends groups by one kind of request, and halves those whose content is rejected."""

    def __init__(
        self,
        send: Callable[[Sequence[T]], R],
        *,
        max_rejections: float = MAX_REJECTIONS,
        fail_fast: bool = False,
    ) -> None:
        """`send` raises RequestRejected where the vendor rejects the content of a group.

        `fail_fast`: raise the first rejection once log2(items) + 2 requests were rejected and
        none was accepted, for receivers that reject all or nothing.
        """
        self._send = send
        self._rejections_left = max_rejections
        self._fail_fast = fail_fast
        self._is_any_accepted = False
        self._items_rejected = 0
        self.is_request_rejected = False
        """Whether a request was rejected as a whole: what it is about may be gone."""

    def send(self, group: Sequence[T]) -> Bisected[T, R]:
        """Send `group`, in halves where needed, the first half first.

        Raises RequestRejected for what is about the request as a whole.
        """
        found: Bisected[T, R] = Bisected()
        waiting = [group] if group else []
        rejections: list[RequestRejected] = []
        while waiting and len(rejections) < self._rejections_left:
            part = waiting.pop()
            try:
                found.accepted.append((part, self._send(part)))
                self._is_any_accepted = True
            except RequestRejected as error:
                self._raise_if_not_about_content(error)
                rejections.append(error)
                middle = len(part) // 2
                if middle:
                    waiting += [part[middle:], part[:middle]]
                else:
                    found.rejected.append((part[0], error))
                if self._gives_up(rejections, len(group), is_last=not waiting):
                    raise rejections[0] from None
        self._rejections_left -= len(rejections)
        self._items_rejected += len(found.rejected)
        return found

    def ensure_some_accepted(self) -> None:
        """Raise RequestRejected when several items were rejected alone, and none was accepted."""
        if self._items_rejected > 1 and not self._is_any_accepted:
            raise RequestRejected(
                "every address was rejected: the request itself must be at fault", 400
            )

    def _raise_if_not_about_content(self, error: RequestRejected) -> None:
        if error.status not in CONTENT_ERROR_STATUSES:
            self.is_request_rejected = True
            raise error

    def _gives_up(self, rejections: Sequence[RequestRejected], size: int, *, is_last: bool) -> bool:
        too_many = is_last or len(rejections) > size.bit_length() + 1
        return self._fail_fast and not self._is_any_accepted and too_many


def push_bisecting(
    batch: Sequence[PushItem], push: Callable[[Sequence[PushItem]], Mapping[int, PushOutcome]]
) -> Mapping[int, PushOutcome]:
    """`push(batch)` to a receiver that accepts a whole request or nothing of it.

    An item that is rejected alone is REFUSED; a receiver that accepts nothing is at fault
    itself, and then the first RequestRejected is raised. A ref left out counts as RETRY_LATER.
    """
    found = Bisector(push, max_rejections=MAX_REJECTIONS // 2, fail_fast=True).send(batch)
    outcomes = {item.ref: refused(error.status) for item, error in found.rejected}
    for _, answered in found.accepted:
        outcomes |= answered
    return outcomes


def send_bisecting(
    items: Sequence[T], send: Callable[[Sequence[T]], R]
) -> list[tuple[Sequence[T], R]]:
    """The parts of `items` that were accepted; an item in none of them was rejected alone.

    Raises RequestRejected when not one of several was accepted: then the request is at fault.
    """
    bisector = Bisector(send, max_rejections=float("inf"))
    found = bisector.send(items)
    bisector.ensure_some_accepted()
    return found.accepted
