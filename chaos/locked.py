"""People whose rows are locked for a while, and who click then."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Self

from chaos.people import Act, Client, Crowd, Person
from chaos.timing import Asked

NUMBER = 91
"""In the names of these people, where others have that of their client."""
CLIENTS = 4
PEOPLE_EACH = 8
PAUSE = 0.3
"""Seconds between the clicks of a client."""


@dataclass(slots=True)
class Locked:
    """Those people. Until the end of the block they click again while `held` is set."""

    crowd: Crowd
    held: threading.Event = field(default_factory=threading.Event)
    _clients: list[Client] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _ending: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        for number in range(CLIENTS):
            client = self.crowd.add_client(Asked.LOCKED)
            names = range(number * PEOPLE_EACH, (number + 1) * PEOPLE_EACH)
            client.people.extend(Person(f"person-{NUMBER}-{n}@example.com") for n in names)
            self._clients.append(client)

    def settle(self) -> list[int]:
        """Have everybody opt out for the first time, so that there are rows; ids of these.

        Raises RuntimeError if one is not answered: nothing is struck yet.
        """
        for client in self._clients:
            for person in client.people:
                self.crowd.do(person, Act.CLICK, client)
                if not person.recorded:
                    raise RuntimeError(f"a first opt-out was answered {client.answers}")
            client.samples.clear()
        return [number for (number,) in self.crowd.service.rows("SELECT id FROM address")]

    def __enter__(self) -> Self:
        """Begin."""
        for client in self._clients:
            thread = threading.Thread(target=self._work, args=(client,))
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._ending.set()
        self.held.set()  # anyone who waits for a lock
        for thread in self._threads:
            thread.join()

    def _work(self, client: Client) -> None:
        number = 0
        while True:
            self.held.wait()
            if self._ending.wait(PAUSE):
                return
            self.crowd.do(client.people[number % PEOPLE_EACH], Act.CLICK, client)
            number += 1
