"""What people are promised by what they are answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from chaos import people
from chaos.people import DONE, Act, Crowd, Person

PAGE = '<input name="undo" value="a&amp;b">'
Live = Callable[..., Person]


class NoLinks:
    """A service of which no link can be had."""

    port = 1

    def token(self, address: str) -> str:
        raise RuntimeError(address)


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> Crowd:
    monkeypatch.setattr(people, "BREATH", 0)
    return Crowd(cast("Any", NoLinks()), "1", 1_000)


@pytest.fixture
def live(crowd: Crowd) -> Live:
    """`live(acts, answers)`: a person does one after the other and is answered so."""

    def do(acts: list[Act], answers: list[str | None]) -> Person:
        person, said, page = Person("ann@example.com"), iter(answers), ""
        for act in acts:
            page = crowd._do(person, act, page, lambda _: next(said)) or ""
        assert next(said, "over") == "over"
        return person

    return do


@pytest.mark.parametrize(
    "acts, answers, promised",
    [
        ([Act.CLICK], [DONE], (True, 1, 1)),
        ([Act.CLICK], [None], (None, 0, 1)),
        ([Act.CLICK, Act.CLICK], [DONE, DONE], (True, 1, 1)),  # I7
        ([Act.CLICK, Act.CLICK], [DONE, None], (True, 1, 1)),  # I1
        ([Act.INSIST], [None, None, DONE], (True, 1, 1)),
        ([Act.BUTTON, Act.UNDO], [PAGE, "back"], (False, 1, 1)),
        ([Act.BUTTON, Act.UNDO], [PAGE, None], (None, 1, 1)),
        ([Act.BUTTON, Act.UNDO, Act.INSIST], [PAGE, "back", None, DONE], (True, 2, 2)),
    ],
)
def test_what_was_answered_is_promised(
    crowd: Crowd,
    live: Live,
    acts: list[Act],
    answers: list[str | None],
    promised: tuple[bool | None, int, int],
) -> None:
    person = live(acts, answers)
    assert (person.off, person.least, person.most) == promised
    assert crowd.odd == []


@pytest.mark.parametrize(
    "acts, answers, said",
    [
        ([Act.CLICK], [PAGE], "got a 2xx that does not say it is done"),
        ([Act.BUTTON, Act.UNDO], ["sorry"], "was offered no undo"),
    ],
)
def test_a_2xx_has_to_say_so(
    crowd: Crowd, live: Live, acts: list[Act], answers: list[str | None], said: str
) -> None:
    live(acts, answers)
    assert [line for line in crowd.odd if said in line]


def test_nobody_insists_for_ever(crowd: Crowd, live: Live) -> None:
    crowd._hopeless.set()
    assert live([Act.INSIST], [None]).off is None
    assert crowd.odd == ["ann@example.com insisted in vain"]


def test_a_client_that_breaks_is_missed(crowd: Crowd) -> None:
    with crowd:
        for thread in crowd._threads:
            thread.join()
    assert len(crowd.odd) == people.CLIENTS
    assert all("broke: RuntimeError" in line for line in crowd.odd)
