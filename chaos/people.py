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
CLIENTS = 16
"""As many as the web processes have threads, to work off what came while they were away."""
BREATH = 0.5
"""Seconds until a client goes on that got no answer: nobody is let down by the thousand."""
RUSH = 30.0
"""Seconds of people whom a client may be behind with; those before them stay away."""
INSISTENCE = 120.0
"""Seconds after the end within which whoever insists must have been answered."""

DONE = "You are unsubscribed."
"""What one click is answered with."""
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
_WEIGHTS, _LIVES = zip(*LIVES, strict=True)


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
    """One connection to the web process, and who came over it."""

    port: int
    people: list[Person] = field(default_factory=list)
    acknowledged: int = 0
    """Opt-outs that were answered with a 2xx."""
    answers: Counter[int] = field(default_factory=Counter)
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
    """Clients that live one person's life after the other until the end of the block.

    If the block raises, nobody insists any more.
    """

    service: Service
    seed: str
    per_second: float
    odd: list[str] = field(default_factory=list)
    """2xx that did not say what they should, and who insisted in vain."""
    _clients: list[Client] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _ending: threading.Event = field(default_factory=threading.Event)
    _hopeless: threading.Event = field(default_factory=threading.Event)

    @property
    def people(self) -> list[Person]:
        """Everybody so far."""
        return [person for client in self._clients for person in client.people]

    @property
    def answers(self) -> Counter[int]:
        """How many requests were answered with which status. For when the block is over."""
        return sum((client.answers for client in self._clients), Counter())

    @property
    def acknowledged(self) -> int:
        """How many opt-outs were answered with a 2xx so far."""
        return sum(client.acknowledged for client in self._clients)

    def __enter__(self) -> Self:
        """Begin."""
        for number in range(CLIENTS):
            client = Client(self.service.port)
            thread = threading.Thread(target=self._work, args=(number, client))
            self._clients.append(client)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Let everybody finish what they began."""
        self._ending.set()
        end = time.monotonic() + (0.0 if kind else INSISTENCE)
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        self._hopeless.set()
        for thread in self._threads:
            thread.join()

    def _work(self, number: int, client: Client) -> None:
        try:
            self._go_on(number, client)
        except Exception as error:  # noqa: BLE001 - one client fewer would go unnoticed
            self.odd.append(f"client {number} broke: {error!r}")

    def _go_on(self, number: int, client: Client) -> None:
        pause = CLIENTS / self.per_second
        due = time.monotonic() + pause * number / CLIENTS
        while not self._ending.wait(max(0.0, due - time.monotonic())):
            due = max(due, time.monotonic() - RUSH) + pause
            person = Person(f"person-{number}-{len(client.people)}@example.com")
            client.people.append(person)
            answered = self._live(person, client)
            client.acknowledged += person.least
            if not answered:
                self._ending.wait(BREATH)

    def _live(self, person: Person, client: Client) -> bool:
        """Whether all that the person did was answered."""
        chance = Random(f"{self.seed}/{person.address}")  # noqa: S311 - a test's dice
        token = self.service.token(person.address)
        page: str | None = ""
        for act in chance.choices(_LIVES, _WEIGHTS)[0]:
            page = self._do(person, act, page or "", lambda body: client.post(token, body))
            if page is None:
                return False
        return True

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
            if self._hopeless.wait(BREATH):
                self.odd.append(f"{person.address} insisted in vain")
                break
            answer = post(body)
        if answer is not None and body == ONE_CLICK and not answer.startswith(DONE):
            self.odd.append(f"{person.address} got a 2xx that does not say it is done")
        person.stopped(answered=answer is not None)
        return answer
