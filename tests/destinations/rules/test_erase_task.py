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
    settle_erase,
    settle_failure,
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
