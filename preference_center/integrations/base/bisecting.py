"""Which items of a rejected request are at fault: it is halved until they are alone.

The only place that halves. One bad address must not hold up the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from preference_center.integrations.base.http import RequestRejected
from preference_center.integrations.base.outcomes import CONTENT_ERROR_STATUSES, refused
from preference_center.integrations.base.sync_contract import PushItem, PushOutcome

T = TypeVar("T")
R = TypeVar("R")

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
