"""A process that remembers what it decided is found (I2)."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from chaos.people import Act, Client, Crowd, Person
from chaos.webs import Webs
from chaos.witness import Witness

ONE, TWO = "11", "12"


def decided(allow: bool) -> tuple[int, bytes]:  # noqa: FBT001 - its only parameter
    return 200, json.dumps({"decisions": [{"allow": allow}]}).encode()


AWAY = (503, b"")


@pytest.fixture
def witness(monkeypatch: pytest.MonkeyPatch) -> Witness:
    def do(_: Crowd, person: Person, __: Act, ___: Client) -> None:
        person.off, person.recorded = True, True

    monkeypatch.setattr(Crowd, "do", do)
    crowd = Crowd(cast("Any", None), "1", 1)
    witness = Witness(cast("Any", None), crowd)
    witness._client, witness._webs, witness._headers = Client(1), Webs(1), {}
    return witness


@pytest.mark.parametrize(
    "answers, found",
    [
        ({ONE: decided(allow=False), TWO: decided(allow=False)}, (0, 1, 0)),
        ({ONE: decided(allow=False), TWO: decided(allow=True)}, (1, 1, 0)),
        ({ONE: decided(allow=False), TWO: AWAY}, (0, 0, 1)),
        ({ONE: decided(allow=False)}, (0, 0, 1)),
        ({}, (0, 0, 1)),
    ],
    ids=["denied", "one-allows", "one-can-not-say", "one-is-away", "nobody"],
)
def test_every_process_is_asked(
    witness: Witness,
    monkeypatch: pytest.MonkeyPatch,
    answers: dict[str, tuple[int, bytes]],
    found: tuple[int, int, int],
) -> None:
    monkeypatch.setattr(Webs, "ask_all", lambda *_: answers)
    witness._one()
    assert (len(witness.odd), witness.asked, witness.partly) == found
