"""What people are promised by what they are answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from chaos import people
from chaos.people import Act, Answer, Client, Crowd, Person

PAGE = Answer(200, '<input name="undo" value="a&amp;b">')
DONE = Answer(200, people.DONE)
PRESSED = Answer(303, location="/u/token?result=x#result")
SPOOL = Answer(202, people.RECEIVED)
BUSY = Answer(503)
NONE = Answer(0)
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

    def do(acts: list[Act], answers: list[Answer]) -> Person:
        person, expected, page = Person("ann@example.com"), iter(answers), ""
        for act in acts:
            page = crowd._do(person, act, page, lambda _: next(expected)).text
        assert next(expected, None) is None
        return person

    return do


@pytest.mark.parametrize(
    "acts, answers, promised",
    [
        ([Act.CLICK], [DONE], (True, 1, 1)),
        ([Act.CLICK], [NONE], (None, 0, 1)),
        ([Act.CLICK, Act.CLICK], [DONE, DONE], (True, 1, 1)),  # I7
        ([Act.CLICK, Act.CLICK], [DONE, NONE], (True, 1, 2)),  # I1
        ([Act.CLICK, Act.CLICK], [SPOOL, DONE], (True, 1, 2)),
        ([Act.CLICK, Act.CLICK], [SPOOL, NONE], (True, 1, 2)),  # I1
        ([Act.INSIST], [NONE, BUSY, DONE], (True, 1, 3)),
        ([Act.INSIST], [NONE, SPOOL], (True, 1, 2)),
        ([Act.BUTTON], [PRESSED], (True, 1, 1)),
        ([Act.BUTTON, Act.UNDO], [PAGE, Answer(303)], (False, 1, 1)),
        ([Act.BUTTON, Act.UNDO], [PAGE, NONE], (None, 1, 1)),
        ([Act.BUTTON, Act.UNDO, Act.INSIST], [PAGE, PAGE, NONE, DONE], (True, 2, 3)),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_what_was_answered_is_promised(
    crowd: Crowd,
    live: Live,
    acts: list[Act],
    answers: list[Answer],
    promised: tuple[bool | None, int, int],
) -> None:
    person = live(acts, answers)
    assert (person.off, person.least, person.most) == promised
    assert crowd.odd == []


@pytest.mark.parametrize(
    "acts, answers, expected",
    [
        ([Act.CLICK], [PAGE], "got a 2xx that does not state what is done"),
        ([Act.CLICK], [Answer(202, people.DONE)], "got a 2xx that does not state what is done"),
        ([Act.BUTTON, Act.UNDO], [Answer(200, "sorry")], "was offered no undo"),
    ],
    ids=["click", "spooled", "undo"],
)
def test_a_2xx_has_to_state_it(
    crowd: Crowd, live: Live, acts: list[Act], answers: list[Answer], expected: str
) -> None:
    live(acts, answers)
    assert [line for line in crowd.odd if expected in line]


def test_a_later_repeat_may_be_an_event_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, people.AGAIN + 0.1])  # sent, sent again, answered
    monkeypatch.setattr("chaos.people.time.monotonic", lambda: next(clock))
    person = Person("ann@example.com")
    for _ in range(2):
        person.stops()
        person.stopped(DONE)
    assert (person.least, person.most) == (1, 2)


def test_nothing_is_undone_that_is_not_recorded_yet(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "_LIVES", [(Act.BUTTON, Act.UNDO)])
    monkeypatch.setattr(people, "_WEIGHTS", [1])
    monkeypatch.setattr(NoLinks, "token", lambda *_: "token")
    client = Client(1)
    monkeypatch.setattr(Client, "post", lambda *_: SPOOL)
    person = Person("ann@example.com")
    assert crowd._live(person, client)
    assert (person.off, person.recorded, crowd.odd) == (True, False, [])


def test_the_page_after_the_button_is_reloaded_till_it_offers_the_undo(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "_LIVES", [(Act.BUTTON, Act.UNDO)])
    monkeypatch.setattr(people, "_WEIGHTS", [1])
    monkeypatch.setattr(NoLinks, "token", lambda *_: "token", raising=False)
    answers, pages = iter([PRESSED, Answer(303)]), iter(["", "sorry", PAGE.text])
    monkeypatch.setattr(Client, "post", lambda *_: next(answers))
    monkeypatch.setattr(Client, "read", lambda *_: next(pages))
    person = Person("ann@example.com")
    assert crowd._live(person, Client(1))
    assert (person.off, person.least, crowd.odd) == (False, 1, [])


def test_nobody_insists_for_ever(crowd: Crowd, live: Live) -> None:
    crowd._hopeless.set()
    assert live([Act.INSIST], [NONE]).off is None
    assert crowd.odd == ["ann@example.com insisted in vain"]


def test_a_client_that_breaks_is_missed(crowd: Crowd) -> None:
    with crowd:
        for thread in crowd._threads:
            thread.join()
    assert len(crowd.odd) == people.CLIENTS
    assert all("broke: RuntimeError" in line for line in crowd.odd)
