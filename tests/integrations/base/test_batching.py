from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pytest

from preference_center.domain.sync.contract import Item, Outcome, Result
from preference_center.integrations.base.batching import MOST_UNREADABLE, Step, carry_out, read_each
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.base.http import Unanswered, Unreadable
from tests.integrations.rig import off, results

DONE, UNREADABLE, BUSY = "done", "unreadable", "busy"


def run(*kinds: str, together: int = 1) -> tuple[dict[int, Result], list[int]]:
    """What came of steps of these kinds, about `together` items each, and which were tried."""
    tried: list[int] = []

    def call(kind: str, refs: tuple[int, ...]) -> Mapping[int, Outcome]:
        tried.extend(refs)
        if kind == UNREADABLE:
            raise Unreadable("not what is promised")
        if kind == BUSY:
            raise Unanswered("busy")
        return {ref: Outcome(Result.REFLECTED) for ref in refs}

    steps, batch = [], list[Item]()
    for kind in kinds:
        refs = tuple(range(len(batch), len(batch) + together))
        batch += [off(ref, f"p{ref}@example.com", "news") for ref in refs]
        steps.append(Step(refs, partial(call, kind, refs)))
    return results(carry_out(batch, steps)), tried


def test_an_answer_about_one_that_can_not_be_read_is_later_for_that_one() -> None:
    found, tried = run(UNREADABLE, DONE, UNREADABLE, DONE)
    assert found == {0: Result.LATER, 1: Result.REFLECTED, 2: Result.LATER, 3: Result.REFLECTED}
    assert tried == [0, 1, 2, 3]


def test_one_about_several_ends_the_run() -> None:
    found, tried = run(DONE, UNREADABLE, DONE, together=2)
    assert [found[ref] for ref in (0, 2, 4)] == [Result.REFLECTED, Result.LATER, Result.LATER]
    assert tried == [0, 1, 2, 3]


def test_many_in_a_row_end_the_run() -> None:
    _, tried = run(DONE, *[UNREADABLE] * 20, DONE)
    assert tried == list(range(1 + MOST_UNREADABLE))


def test_another_failure_ends_the_run_after_one_that_can_not_be_read() -> None:
    found, tried = run(DONE, UNREADABLE, BUSY, DONE)
    assert tried == [0, 1, 2]
    assert found[3] is Result.LATER


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
        raise Unreadable("not what is promised")
    return address.upper()


def test_what_can_not_be_read_is_left_out() -> None:
    assert read_each(["a", "odd", "b"], read) == {"a": "A", "b": "B"}
    assert read_each(["odd"], read) == read_each([], read) == {}


def test_when_nothing_of_several_can_be_read_the_tool_is_at_fault() -> None:
    with pytest.raises(Unreadable):
        read_each(["odd", "odder"], read)
