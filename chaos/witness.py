"""Asks every process of the web server right after an opt-out was acknowledged (I2)."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

from chaos.people import Act, Client, Crowd, Person
from chaos.timing import Sample
from chaos.webs import Webs, expected
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.api import keys
from preference_center.web.api.keys import KeyScope
from tests.faults.service import Service

MESSAGE_TYPE = "offers.weekly"
PACE = 0.2
"""Seconds between people."""
NUMBER = 90
"""In the names of these people, where others have that of their client."""


def sender_key(service: Service, name: str) -> str:
    """An API key of a sender that may ask for decisions."""
    scopes, now = [KeyScope.CHECK], datetime.now(UTC)
    with service.app.app_context():
        return run_in_transaction(lambda c: keys.create_key(c, name, scopes, [MESSAGE_TYPE], now))


@dataclass(slots=True)
class Witness:
    """People about whom a sender asks just before they opt out, and just after.

    Until the end of the block, one after the other. Before, since a process must not remember
    what it answered then.
    """

    service: Service
    crowd: Crowd
    """Where they are counted."""
    odd: list[str] = field(default_factory=list)
    """Whom a process allowed to be written to after an acknowledged opt-out."""
    asked: int = 0
    """Opt-outs after which every process was asked and answered."""
    partly: int = 0
    """Those after which not every process answered: it, or the database, was struck."""
    _client: Client = field(init=False)
    _webs: Webs = field(init=False)
    _headers: dict[str, str] = field(init=False)
    _ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread = field(init=False)

    @property
    def samples(self) -> list[Sample]:
        """All questions, and how long the answers took."""
        return self._webs.samples

    def __enter__(self) -> Self:
        """Begin. The database must be there."""
        self._headers = {"Authorization": f"Bearer {sender_key(self.service, 'witness')}"}
        self._client, self._webs = self.crowd.add_client(), Webs(self.service.port)
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, once the person at hand is done."""
        self._ending.set()
        self._thread.join()
        self._webs.close()

    def _work(self) -> None:
        try:
            while not self._ending.wait(PACE):
                self._one()
        except Exception as error:  # noqa: BLE001 - it would go unnoticed
            self.odd.append(f"the witness broke: {error!r}")

    def _one(self) -> None:
        person = Person(f"person-{NUMBER}-{len(self._client.people)}@example.com")
        self._client.people.append(person)
        self._decisions(person)
        self.crowd.do(person, Act.CLICK, self._client)
        if not (person.off and person.recorded):
            return  # not acknowledged, or not as recorded
        came = self._decisions(person)
        for name in sorted(name for name, allowed in came.items() if allowed):
            self.odd.append(f"{person.address} was allowed by process {name} after its opt-out")
        if sum(allowed is not None for allowed in came.values()) >= expected():
            self.asked += 1
        else:
            self.partly += 1

    def _decisions(self, person: Person) -> dict[str, bool | None]:
        """What each process decides; None where it could not."""
        body = {"message_type": MESSAGE_TYPE, "recipients": [person.address]}
        came = self._webs.ask_all("/v1/decisions", body, self._headers)
        return {name: _allowed(*answer) for name, answer in came.items()}


def _allowed(status: int, body: bytes) -> bool | None:
    return bool(json.loads(body)["decisions"][0]["allow"]) if status == 200 else None
