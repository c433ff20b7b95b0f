"""What a push answers for one address: the one place that turns a vendor's status into it."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus

from preference_center.integrations.base.sync_contract import PushOutcome, PushResult

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
    PushResult.RETRY_LATER: 3,
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
    """This address would make the push too long to end inside a lease."""
    return retry_later("a few go at a time", timedelta(seconds=1))


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
    """The outcome that counts for an item that got both."""
    return second if _SEVERITY[second.result] > _SEVERITY[first.result] else first
