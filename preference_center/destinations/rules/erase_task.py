"""These rules settle an erasure at a destination: suppress, confirm, erase, read back.

GDPR art. 19 and I6 require it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from preference_center.core.addresses import Channel
from preference_center.core.deadlines import refused_retry, row_retry
from preference_center.destinations.rules.states import READ_BACK_DELAY
from preference_center.integrations.base.contract import (
    Capabilities,
    EraseItem,
    EraseMode,
    PushOutcome,
    PushResult,
)

JOB_POLL_DELAY = timedelta(minutes=1)
"""When a deletion that the tool does later is asked about, where the tool names no time."""


class TaskOutcome(StrEnum):
    """How a task ended. `erasure_task.outcome` is empty while it is open."""

    ERASED = "erased"
    """The tool deleted what it held; `confirmed_at` is set where it was read afterwards."""
    ABSENT = "absent"
    """The tool did not know the address."""
    NOTHING_HELD = "nothing_held"
    """The tool holds nothing but the suppression."""
    BY_HAND = "by_hand"
    """`done_by` deleted it there."""
    REPLACED = "replaced"
    """A later erasure of the same address goes further, and has a task there."""
    RETURNED = "returned"
    """The person came back before it was done, by an act of their own."""


class EraseStep(StrEnum):
    """What comes next for a task. A tool is never made to erase before it suppresses."""

    SUPPRESS = "suppress"
    """The push comes first."""
    ERASE = "erase"
    READ_BACK = "read back"


@dataclass(frozen=True, slots=True)
class EraseClaim:
    """One task that a worker holds until its lease ends."""

    erasure_id: UUID
    address: str
    channel: Channel
    give_up_at: datetime
    is_suppressed: bool
    """Whether the tool reflects the opt-out at its newest version, or does not know the address."""
    is_push_refused: bool
    """Whether the tool refused the opt-out itself, so that it will never be suppressed there."""
    is_erased: bool
    attempts: int
    job: str

    @property
    def step(self) -> EraseStep:
        """What comes next."""
        if not self.is_suppressed:
            return EraseStep.SUPPRESS
        return EraseStep.READ_BACK if self.is_erased else EraseStep.ERASE

    def to_item(self, ref: int) -> EraseItem:
        """The task as its connector gets it. A replay keeps the id and begins the 30 days again."""
        request = f"{self.erasure_id} {self.give_up_at.isoformat()}"
        return EraseItem(ref, self.address, self.channel, self.job, request)


@dataclass(frozen=True, slots=True)
class TaskSettlement:
    """The result of one claimed task.

    `outcome`: None while it is open; then it is claimed again at `next_at`, None for never.
    `is_erased`: the tool has acknowledged the deletion. `by_hand`: a person is to do it, for
    this `reason`, unless a later attempt does.
    """

    erasure_id: UUID
    attempts: int
    outcome: TaskOutcome | None = None
    next_at: datetime | None = None
    is_erased: bool = False
    is_confirmed: bool = False
    by_hand: bool = False
    reason: str = ""
    ack: str = ""
    job: str = ""


def settle_without_request(
    claim: EraseClaim, capabilities: Capabilities, now: datetime, jitter: float
) -> TaskSettlement | None:
    """The result of a task that the tool is asked nothing about now; None if it is to be asked."""
    if claim.step is EraseStep.SUPPRESS and claim.is_push_refused:
        return TaskSettlement(
            claim.erasure_id,
            claim.attempts,
            next_at=refused_retry(now, jitter=jitter),
            by_hand=True,
            reason=f"The tool refuses the opt-out of this address. {capabilities.erase_note}",
        )
    if claim.step is EraseStep.SUPPRESS:
        return settle_failure(claim, now, jitter)
    if capabilities.erase is EraseMode.NOTHING_HELD:
        return TaskSettlement(claim.erasure_id, claim.attempts, TaskOutcome.NOTHING_HELD)
    return None


def settle_erase(
    claim: EraseClaim,
    outcome: PushOutcome | None,
    capabilities: Capabilities,
    now: datetime,
    jitter: float,
) -> TaskSettlement:
    """The result of a task that was erased; `outcome` is None if the connector returned none."""
    outcome = outcome or PushOutcome(PushResult.RETRY_LATER)
    match outcome.result:
        case PushResult.REFLECTED:
            is_done = not capabilities.confirms_erasure
            return TaskSettlement(
                claim.erasure_id,
                claim.attempts,
                TaskOutcome.ERASED if is_done else None,
                None if is_done else now + READ_BACK_DELAY,
                is_erased=True,
                ack=outcome.ack,
            )
        case PushResult.ABSENT:
            return TaskSettlement(
                claim.erasure_id,
                claim.attempts,
                TaskOutcome.ABSENT,
                is_erased=True,
                is_confirmed=True,
                ack=outcome.ack,
            )
        case PushResult.REFUSED:
            return TaskSettlement(
                claim.erasure_id,
                claim.attempts + 1,
                by_hand=True,
                reason=f"The tool did not delete it ({outcome.ack}). {capabilities.erase_note}",
            )
        case PushResult.RETRY_LATER if outcome.job:
            poll_at = now + (outcome.retry_after or JOB_POLL_DELAY)
            return TaskSettlement(
                claim.erasure_id, claim.attempts, next_at=poll_at, job=outcome.job
            )
        case PushResult.RETRY_LATER | PushResult.DEFERRED:
            return settle_failure(claim, now, jitter, outcome.retry_after)
        case _:
            assert_never(outcome.result)


def settle_read_back(
    claim: EraseClaim, now: datetime, jitter: float, *, is_held: bool | None
) -> TaskSettlement:
    """The result of a task that was read back; `is_held` is None if it could not be read.

    What the tool still holds is erased again.
    """
    if is_held is False:
        return TaskSettlement(
            claim.erasure_id,
            claim.attempts,
            TaskOutcome.ERASED,
            is_erased=True,
            is_confirmed=True,
        )
    failed = settle_failure(claim, now, jitter)
    return failed if is_held is None else replace(failed, is_erased=False)


def settle_failure(
    claim: EraseClaim, now: datetime, jitter: float, retry_after: timedelta | None = None
) -> TaskSettlement:
    """A task that could not go on: retried until the erasure gives up."""
    attempts = claim.attempts + 1
    next_at = row_retry(attempts, claim.give_up_at, now, retry_after=retry_after, jitter=jitter)
    return TaskSettlement(
        claim.erasure_id, attempts, next_at=next_at, is_erased=claim.is_erased, job=claim.job
    )


def settle_permanent_failure(
    claim: EraseClaim, reason: str, now: datetime, jitter: float
) -> TaskSettlement:
    """A failure that stays until somebody changes the set-up: by hand, unless that happens."""
    return replace(
        settle_failure(claim, now, jitter),
        next_at=refused_retry(now, jitter=jitter),
        by_hand=True,
        reason=reason,
    )


def settle_unchanged(claim: EraseClaim, next_at: datetime) -> TaskSettlement:
    """A task that was not tried: the lease ended, or the rate limit was reached."""
    return TaskSettlement(
        claim.erasure_id,
        claim.attempts,
        next_at=next_at,
        is_erased=claim.is_erased,
        job=claim.job,
    )
