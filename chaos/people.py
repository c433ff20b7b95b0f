"""People who opt out through the web process, and the responses they got."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from html import unescape
from random import Random
from typing import Self
from urllib.parse import urlencode

from chaos.timing import LOST, SPOOLED, Asked, Sample
from chaos.webs import is_dropped
from preference_center.core.links import ONE_CLICK
from tests.faults.service import Service

PATIENCE = 10.0
"""Seconds a client waits for an answer."""
CLIENTS = 16
"""As many as the web processes have threads, to work off what came while they were away."""
BREATH = 0.5
"""Seconds until a client goes on that got no answer: nobody is let down by the thousand."""
RUSH = 30.0
"""Seconds of people whom a client may be behind with; those before them stay away."""
INSISTENCE = 120.0
"""Seconds after the end within which anyone who insists must have been answered."""

AGAIN = 4.0
"""Seconds from the first to the answer of a repeat within which that makes no second event."""

DONE = "You are unsubscribed."
"""What one click is answered with."""
RECEIVED = "Received."
"""The same while it waits for the database."""
PAGE = 200
SEE_OTHER = 303
"""The page's button is answered with another page's address."""
RECORDED = frozenset({PAGE, SEE_OTHER})
READINGS = 60
"""How often a page is read, BREATH apart, till it offers the undo: the database may be away."""
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
"""How many of a hundred do what, in order; anyone who gets no answer gives up there."""
_WEIGHTS, _LIVES = zip(*LIVES, strict=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a request."""

    status: int
    text: str = ""
    location: str = ""
    """Where the page is that follows."""

    @property
    def acknowledged(self) -> bool:
        """Whether it may never be lost (I1)."""
        return self.status // 100 == 2 or self.status == SEE_OTHER


@dataclass(slots=True)
class Person:
    """What somebody did, and the responses. `off` is None where they can't know how it ended."""

    address: str
    off: bool | None = False
    least: int = 0
    """Opt-outs that were answered with a 2xx, and so must be events."""
    most: int = 0
    """Opt-outs that were sent, and so may be."""
    recorded: bool = False
    """Whether the last one was not only acknowledged but recorded at once."""
    _before: float = 0.0
    _sent: float = 0.0
    """When the last two were sent."""

    def stops(self) -> None:
        """An opt-out is about to be sent."""
        self._before, self._sent = self._sent, time.monotonic()
        self.most += 1

    def stopped(self, answer: Answer) -> None:
        """It was answered, or not. A quick repeat of one recorded adds nothing (I7)."""
        if answer.acknowledged:
            again = bool(self.off) and self.recorded
            self.recorded = answer.status in RECORDED
            self.most -= again and self.recorded and time.monotonic() - self._before < AGAIN
            self.least += self.off is not True
            self.off = True
        elif self.off is not True:
            self.off = None

    def undone(self, *, answered: bool) -> None:
        """The last opt-out was taken back."""
        self.off = False if answered else None


@dataclass(slots=True)
class Client:
    """One connection to the web process, and who came over it."""

    port: int
    asks: Asked = Asked.STOP
    people: list[Person] = field(default_factory=list)
    acknowledged: int = 0
    """Opt-outs that were answered with a 2xx."""
    answers: Counter[int] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    _connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def post(self, token: str, body: str) -> Answer:
        """Send it, and wait for the answer."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        begin = time.monotonic()
        if is_dropped(self._connection):
            self._connection.close()
        answer = Answer(LOST)
        try:
            self._connection.request("POST", f"/u/{token}", body, headers)
            came = self._connection.getresponse()
            location = came.headers.get("Location", "")
            answer = Answer(came.status, came.read().decode(), location)
        except (OSError, http.client.HTTPException):
            self._connection.close()  # the next request opens another
        end = time.monotonic()
        self.answers[answer.status] += 1
        asked = Asked.UNDO if body.startswith("undo=") else self.asks
        self.samples.append(Sample(begin, end, answer.status, asked))
        return answer

    def read(self, path: str) -> str:
        """The page at this path; an empty text without one."""
        try:
            self._connection.request("GET", path.partition("#")[0])
            came = self._connection.getresponse()
            text = came.read().decode()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return ""
        return text if came.status == PAGE else ""


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

    @property
    def samples(self) -> Iterator[Sample]:
        """All requests. For when the block is over."""
        return (sample for client in self._clients for sample in client.samples)

    def add_client(self, asks: Asked = Asked.STOP) -> Client:
        """One more client, for people who come in their own way."""
        client = Client(self.service.port, asks)
        self._clients.append(client)
        return client

    def do(self, person: Person, act: Act, client: Client) -> None:
        """Have one of those people do it, whatever comes of it."""
        before, token = person.least, self.service.token(person.address)
        self._do(person, act, "", lambda body: client.post(token, body))
        client.acknowledged += person.least - before

    def __enter__(self) -> Self:
        """Begin."""
        for number in range(CLIENTS):
            client = self.add_client()
            thread = threading.Thread(target=self._work, args=(number, client))
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
        page = ""
        for act in chance.choices(_LIVES, _WEIGHTS)[0]:
            answer = self._do(person, act, page, lambda body: client.post(token, body))
            if not answer.acknowledged:
                return False
            if answer.status == SPOOLED and act is Act.BUTTON:
                return True  # nothing is there yet that could be undone
            page = answer.text
            if act is Act.BUTTON and answer.status == SEE_OTHER:
                page = self._page_after(answer, client)
                if not page:
                    return False  # gives up: nothing is shown that could be undone
        return True

    def _page_after(self, answer: Answer, client: Client) -> str:
        """The page that the answer leads to, reloaded while it offers no undo."""
        page = ""
        for _ in range(READINGS):
            page = client.read(answer.location)
            if _UNDO.search(page) or self._hopeless.wait(BREATH):
                break
        return page

    def _do(self, person: Person, act: Act, page: str, post: Callable[[str], Answer]) -> Answer:
        """The last answer; that of status `LOST` also where no undo was offered."""
        if act is Act.UNDO:
            offer = _UNDO.search(page)
            if offer is None:
                self.odd.append(f"{person.address} was offered no undo")
                return Answer(LOST)
            answer = post(urlencode({"undo": unescape(offer[1])}))
            person.undone(answered=answer.acknowledged)
            return answer
        body = "confirm=this" if act is Act.BUTTON else ONE_CLICK
        answer = self._stop(person, body, post)
        while not answer.acknowledged and act is Act.INSIST:
            if self._hopeless.wait(BREATH):
                self.odd.append(f"{person.address} insisted in vain")
                break
            answer = self._stop(person, body, post)
        expected = RECEIVED if answer.status == SPOOLED else DONE
        if answer.acknowledged and body == ONE_CLICK and not answer.text.startswith(expected):
            self.odd.append(f"{person.address} got a 2xx that does not state what is done")
        return answer

    @staticmethod
    def _stop(person: Person, body: str, post: Callable[[str], Answer]) -> Answer:
        person.stops()
        answer = post(body)
        person.stopped(answer)
        return answer
