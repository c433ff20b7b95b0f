"""People who opt out through the web process, and what each of them was told."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from html import unescape
from random import Random
from typing import Self
from urllib.parse import urlencode

from preference_center.links import ONE_CLICK
from tests.faults.service import Service

LOST = 0
"""In place of a status: no answer came."""
PATIENCE = 10.0
"""Seconds a client waits for an answer."""
THREADS = 8

_UNDO = re.compile(r'name="undo" value="([^"]+)"')


class Act(StrEnum):
    """What a person does with the link."""

    CLICK = "one click"
    INSIST = "one click, again and again until it is answered"
    BUTTON = "the page's button"
    UNDO = "undo, on the page just shown"


LIVES: tuple[tuple[int, tuple[Act, ...]], ...] = (
    (40, (Act.CLICK,)),
    (40, (Act.INSIST,)),
    (10, (Act.CLICK, Act.CLICK)),
    (5, (Act.BUTTON, Act.UNDO)),
    (5, (Act.BUTTON, Act.UNDO, Act.INSIST)),
)
"""How many of a hundred do what, in order; whoever gets no answer gives up there."""


@dataclass(slots=True)
class Person:
    """What somebody did and was told. `off` is None where they can't know how it ended."""

    address: str
    off: bool | None = False
    least: int = 0
    """Opt-outs that were answered with a 2xx, and so must be events."""
    most: int = 0
    """Opt-outs that were sent, and so may be."""

    def stops(self) -> None:
        """An opt-out is about to be sent. A repeat, while one stands, adds nothing (I7)."""
        if self.off is not True:
            self.most += 1

    def stopped(self, *, answered: bool) -> None:
        """It was answered, or not."""
        if self.off is True:
            return
        self.least += answered
        self.off = True if answered else None

    def undone(self, *, answered: bool) -> None:
        """The last opt-out was taken back."""
        self.off = False if answered else None


@dataclass(slots=True)
class Client:
    """One connection of somebody's, to the web process."""

    port: int
    answers: Counter[int]
    _connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def post(self, token: str, body: str) -> str | None:
        """The page of a 2xx; None for any other answer, and for none."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        status, text = LOST, ""
        try:
            self._connection.request("POST", f"/u/{token}", body, headers)
            answer = self._connection.getresponse()
            text = answer.read().decode()
            status = answer.status
        except (OSError, http.client.HTTPException):
            self._connection.close()  # the next request opens another
        self.answers[status] += 1
        return text if status // 100 == 2 else None


@dataclass(slots=True)
class Crowd:
    """Threads that live one person's life after the other until the end of the block."""

    service: Service
    seed: str
    per_second: float
    people: list[Person] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    odd: list[str] = field(default_factory=list)
    """2xx that did not say what they should."""
    _ending: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Begin."""
        for number in range(THREADS):
            thread = threading.Thread(target=self._go_on, args=(number,))
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        """Let everybody finish what they began."""
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _go_on(self, thread: int) -> None:
        answers: Counter[int] = Counter()
        client = Client(self.service.port, answers)
        people: list[Person] = []
        pause, due = THREADS / self.per_second, time.monotonic()
        while not self._ending.wait(max(0.0, due - time.monotonic())):
            due = max(due, time.monotonic() - 1) + pause  # after a stall no more than a small rush
            person = Person(f"person-{thread}-{len(people)}@example.com")
            people.append(person)
            self._live(person, client)
        # one thread at a time, since += on a shared counter loses
        self.people.extend(people)
        for status, count in answers.items():
            self.answers[status] = self.answers[status] + count

    def _live(self, person: Person, client: Client) -> None:
        chance = Random(f"{self.seed}/{person.address}")  # noqa: S311 - a test's dice
        weights, lives = zip(*LIVES, strict=True)
        token = self.service.token(person.address)
        page: str | None = ""
        for act in chance.choices(lives, weights)[0]:
            page = self._do(person, act, page or "", lambda body: client.post(token, body))
            if page is None:
                return

    def _do(
        self, person: Person, act: Act, page: str, post: Callable[[str], str | None]
    ) -> str | None:
        """The page that answered; None when the person gave up."""
        if act is Act.UNDO:
            offer = _UNDO.search(page)
            if offer is None:
                self.odd.append(f"{person.address} was offered no undo")
                return None
            answer = post(urlencode({"undo": unescape(offer[1])}))
            person.undone(answered=answer is not None)
            return answer
        body = "confirm=this" if act is Act.BUTTON else ONE_CLICK
        person.stops()
        answer = post(body)
        while answer is None and act is Act.INSIST:
            time.sleep(0.5)
            answer = post(body)
        person.stopped(answered=answer is not None)
        return answer
