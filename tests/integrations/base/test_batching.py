from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pytest

from preference_center.integrations.base.contract import (
    DeliveryError,
    NoResponse,
    PushItem,
    PushOutcome,
    PushResult,
    UnexpectedResponse,
)
from preference_center.integrations.base.push_results import (
    MAX_UNEXPECTED_RESPONSES,
    PushStep,
    read_each,
    run_steps,
)
from tests.integrations.rig import off, results

DONE, UNREADABLE, BUSY = "done", "unreadable", "busy"


def run(*kinds: str, together: int = 1) -> tuple[dict[int, PushResult], list[int]]:
    """What came of steps of these kinds, about `together` items each, and which were tried."""
    tried: list[int] = []

    def call(kind: str, refs: tuple[int, ...]) -> Mapping[int, PushOutcome]:
        tried.extend(refs)
        if kind == UNREADABLE:
            raise UnexpectedResponse("not what is promised")
        if kind == BUSY:
            raise NoResponse("busy")
        return {ref: PushOutcome(PushResult.REFLECTED) for ref in refs}

    steps, batch = [], list[PushItem]()
    for kind in kinds:
        refs = tuple(range(len(batch), len(batch) + together))
        batch += [off(ref, f"p{ref}@example.com", "news") for ref in refs]
        steps.append(PushStep(refs, partial(call, kind, refs)))
    return results(run_steps(batch, steps)), tried


def test_an_answer_about_one_that_can_not_be_read_is_later_for_that_one() -> None:
    found, tried = run(UNREADABLE, DONE, UNREADABLE, DONE)
    assert found == {
        0: PushResult.RETRY_LATER,
        1: PushResult.REFLECTED,
        2: PushResult.RETRY_LATER,
        3: PushResult.REFLECTED,
    }
    assert tried == [0, 1, 2, 3]


def test_one_about_several_ends_the_run() -> None:
    found, tried = run(DONE, UNREADABLE, DONE, together=2)
    assert [found[ref] for ref in (0, 2, 4)] == [
        PushResult.REFLECTED,
        PushResult.RETRY_LATER,
        PushResult.RETRY_LATER,
    ]
    assert tried == [0, 1, 2, 3]


def test_many_in_a_row_end_the_run() -> None:
    _, tried = run(DONE, *[UNREADABLE] * 20, DONE)
    assert tried == list(range(1 + MAX_UNEXPECTED_RESPONSES))


def test_another_failure_ends_the_run_after_one_that_can_not_be_read() -> None:
    found, tried = run(DONE, UNREADABLE, BUSY, DONE)
    assert tried == [0, 1, 2]
    assert found[3] is PushResult.RETRY_LATER


@pytest.mark.parametrize(
    "kinds",
    [(UNREADABLE,), (UNREADABLE, UNREADABLE), (UNREADABLE, BUSY), (BUSY, DONE)],
    ids=["one alone", "two", "one and a time-out", "a time-out"],
)
def test_a_run_that_nothing_came_of_has_failed(kinds: tuple[str, ...]) -> None:
    with pytest.raises(DeliveryError):
        run(*kinds)


def read(address: str) -> str:
    if address.startswith("odd"):
        raise UnexpectedResponse("not what is promised")
    return address.upper()


def test_what_can_not_be_read_is_left_out() -> None:
    assert read_each(["a", "odd", "b"], read) == {"a": "A", "b": "B"}
    assert read_each(["odd"], read) == read_each([], read) == {}


def test_when_nothing_of_several_can_be_read_the_tool_is_at_fault() -> None:
    with pytest.raises(UnexpectedResponse):
        read_each(["odd", "odder"], read)
