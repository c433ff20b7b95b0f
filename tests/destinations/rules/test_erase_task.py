"""What comes next for an erasure at one tool, and how each answer settles it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from preference_center.core.addresses import Channel
from preference_center.destinations.rules.erase_task import (
    EraseClaim,
    EraseStep,
    TaskOutcome,
    TaskSettlement,
    settle_erase,
    settle_failure,
    settle_permanent_failure,
    settle_read_back,
    settle_unchanged,
    settle_without_request,
)
from preference_center.integrations.base.contract import (
    Capabilities,
    EraseMode,
    PushOutcome,
    PushResult,
    SupportedScope,
)
from tests.clock import START

CLAIM = EraseClaim(
    UUID(int=1),
    "ada@example.com",
    Channel.EMAIL,
    give_up_at=START + timedelta(days=30),
    is_suppressed=True,
    is_push_refused=False,
    is_erased=False,
    attempts=0,
    job="",
)
TOOL = Capabilities(
    channels=frozenset({Channel.EMAIL}),
    scopes=frozenset(SupportedScope),
    can_lift=True,
    batch_size=10,
    erase=EraseMode.FORGETS_OPT_OUT,
    erase_note="Delete the contact.",
)


@pytest.mark.parametrize("mode", [mode for mode in EraseMode if mode is not EraseMode.BY_HAND])
@pytest.mark.parametrize("refused", [True, False], ids=["refused", "waiting"])
def test_nothing_is_erased_that_is_not_suppressed(mode: EraseMode, *, refused: bool) -> None:  # I6
    claim = replace(CLAIM, is_suppressed=False, is_push_refused=refused, is_erased=True)
    assert claim.step is EraseStep.SUPPRESS
    settled = settle_without_request(claim, replace(TOOL, erase=mode), START, 0)
    assert settled
    assert (settled.outcome, settled.by_hand) == (None, refused)
    assert settled.next_at
    assert settled.next_at > START


def test_a_suppressed_person_is_erased_then_read_back() -> None:
    assert CLAIM.step is EraseStep.ERASE
    assert replace(CLAIM, is_erased=True).step is EraseStep.READ_BACK
    assert settle_without_request(CLAIM, TOOL, START, 0) is None


@pytest.mark.parametrize("result", list(PushResult))
def test_every_answer_ends_the_task_or_says_what_comes_next(result: PushResult) -> None:
    settled = settle_erase(CLAIM, PushOutcome(result, "ack"), TOOL, START, 0)
    ends = settled.outcome is not None
    assert ends == (result in {PushResult.REFLECTED, PushResult.ABSENT})
    assert ends or settled.by_hand or settled.next_at


def test_a_tool_that_can_be_asked_is_asked_before_the_task_ends() -> None:
    done = PushOutcome(PushResult.REFLECTED, "204")
    asked = settle_erase(CLAIM, done, replace(TOOL, confirms_erasure=True), START, 0)
    assert (asked.outcome, asked.is_erased, asked.is_confirmed) == (None, True, False)
    erased = replace(CLAIM, is_erased=True)
    gone = settle_read_back(erased, START, 0, is_held=False)
    assert (gone.outcome, gone.is_confirmed) == (TaskOutcome.ERASED, True)
    held = settle_read_back(erased, START, 0, is_held=True)
    assert (held.outcome, held.is_erased) == (None, False)
    unread = settle_read_back(erased, START, 0, is_held=None)
    assert (unread.outcome, unread.is_erased) == (None, True)


def test_a_job_is_polled_without_counting_as_a_failure() -> None:
    pending = PushOutcome(PushResult.RETRY_LATER, "202", timedelta(hours=2), job="j1")
    settled = settle_erase(replace(CLAIM, attempts=3), pending, TOOL, START, 0)
    assert (settled.job, settled.attempts) == ("j1", 3)
    assert settled.next_at == START + timedelta(hours=2)


def test_failures_are_spaced_up_to_an_hour_and_a_job_outlives_them() -> None:
    claim, waits = replace(CLAIM, job="j1"), []
    for _ in range(15):
        settled = settle_failure(claim, START, 0)
        assert settled.next_at
        waits.append(settled.next_at - START)
        claim = replace(claim, attempts=settled.attempts)
        assert settled.job == "j1"
    assert waits == sorted(waits)
    assert waits[0] == timedelta(seconds=10)
    assert waits[-1] == timedelta(hours=1)


def test_what_was_not_tried_is_as_it_was() -> None:
    claim = replace(CLAIM, attempts=4, job="j1", is_erased=True)
    settled = settle_unchanged(claim, START)
    assert (settled.attempts, settled.job, settled.is_erased) == (4, "j1", True)


def test_a_request_is_told_apart_from_that_of_every_other_erasure_and_of_a_replay() -> None:  # I6
    """A receiver drops what it has seen: a retry it may, a second erasure it must not."""
    retried = replace(CLAIM, attempts=3, is_erased=True)
    assert retried.to_item(7).request == CLAIM.to_item(0).request
    for other in (
        replace(CLAIM, erasure_id=UUID(int=2)),
        replace(CLAIM, give_up_at=CLAIM.give_up_at + timedelta(days=3)),
    ):
        assert other.to_item(0).request != CLAIM.to_item(0).request
    assert CLAIM.address not in CLAIM.to_item(0).request


TRIED = replace(CLAIM, attempts=3, job="j1")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.mark.parametrize(
    "outcome, expected",
    [
        (
            PushOutcome(PushResult.REFLECTED, "204"),
            TaskSettlement(
                UUID(int=1), 3, TaskOutcome.ERASED, None, is_erased=True, ack="204"
            ),
        ),
        (
            PushOutcome(PushResult.ABSENT, "404"),
            TaskSettlement(
                UUID(int=1), 3, TaskOutcome.ABSENT, None, is_erased=True, is_confirmed=True,
                ack="404",
            ),
        ),
        (
            PushOutcome(PushResult.REFUSED, "403"),
            TaskSettlement(
                UUID(int=1), 4, by_hand=True,
                reason="The tool did not delete it (403). Delete the contact.",
            ),
        ),
        (
            PushOutcome(PushResult.RETRY_LATER, "202", job="j2"),
            TaskSettlement(UUID(int=1), 3, next_at=START + MINUTE, job="j2"),
        ),
        (
            PushOutcome(PushResult.RETRY_LATER, "429", HOUR),
            TaskSettlement(UUID(int=1), 4, next_at=START + HOUR, job="j1"),
        ),
        (None, TaskSettlement(UUID(int=1), 4, next_at=START + 80 * MINUTE / 60, job="j1")),
    ],
    ids=["erased", "absent", "refused", "job", "later", "no answer"],
)  # fmt: skip
def test_what_each_answer_leaves(outcome: PushOutcome | None, expected: TaskSettlement) -> None:
    assert settle_erase(TRIED, outcome, TOOL, START, 0) == expected


def test_a_tool_that_can_be_asked_is_asked_after_five_minutes() -> None:
    confirming = replace(TOOL, confirms_erasure=True)
    asked = settle_erase(CLAIM, PushOutcome(PushResult.REFLECTED), confirming, START, 0)
    assert asked == TaskSettlement(UUID(int=1), 0, next_at=START + 5 * MINUTE, is_erased=True)
    gone = settle_read_back(replace(TRIED, is_erased=True), START, 0, is_held=False)
    assert gone == TaskSettlement(
        UUID(int=1), 3, TaskOutcome.ERASED, is_erased=True, is_confirmed=True
    )


def test_where_a_tool_refuses_the_opt_out_a_person_deletes_by_hand() -> None:  # I6
    refused = replace(TRIED, is_suppressed=False, is_push_refused=True)
    assert settle_without_request(refused, TOOL, START, 1.0) == TaskSettlement(
        UUID(int=1),
        3,
        next_at=START + 23 * HOUR,
        by_hand=True,
        reason="The tool refuses the opt-out of this address. Delete the contact.",
    )


def test_a_tool_that_holds_nothing_is_asked_nothing() -> None:
    holds_nothing = replace(TOOL, erase=EraseMode.NOTHING_HELD)
    expected = TaskSettlement(UUID(int=1), 3, TaskOutcome.NOTHING_HELD)
    assert settle_without_request(TRIED, holds_nothing, START, 0) == expected


def test_a_failure_that_stays_is_for_a_person_and_tried_daily() -> None:
    assert settle_permanent_failure(TRIED, "No permission.", START, 1.0) == TaskSettlement(
        UUID(int=1),
        4,
        next_at=START + 23 * HOUR,
        by_hand=True,
        reason="No permission.",
        job="j1",
    )


def test_what_was_not_tried_stays_as_it_is() -> None:
    erased = replace(TRIED, is_erased=True)
    assert settle_unchanged(erased, START + HOUR) == TaskSettlement(
        UUID(int=1), 3, next_at=START + HOUR, is_erased=True, job="j1"
    )


def test_the_tool_gets_the_address_and_one_id_for_each_thirty_days() -> None:
    item = TRIED.to_item(7)
    assert (item.ref, item.address, item.channel, item.job) == (
        7, "ada@example.com", Channel.EMAIL, "j1"
    )  # fmt: skip
    assert item.request == f"{UUID(int=1)} {CLAIM.give_up_at.isoformat()}"
    assert replace(TRIED, give_up_at=START).to_item(7).request != item.request
