"""People opt out, and a sender asks about all of them again and again (I2)."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Self

import httpx

from dev.processes import wait_until
from tests.faults.service import PATIENCE
from tests.faults.test_web import Load
from tests.web.api.sender import make_sender

PACE = 0.1
"""Seconds between two questions."""
PROGRESS = 3
"""Clicks and answers to the sender after which both are said to go on."""


@dataclass(slots=True)
class Asking(Load):
    """`Load`, and a sender that asks about all who are recorded as opted out, and about others."""

    opted_out: Collection[str] = ()
    """Before it began."""
    allowed: set[str] = field(default_factory=set)
    """Who was allowed, though they had opted out before the sender asked."""
    denied: set[str] = field(default_factory=set)
    """Who was denied, though they never opted out."""
    asked: int = 0
    """How often the sender asked."""
    answered: int = 0
    """How often it was answered, and not asked to come again."""
    _key: str = ""

    def __enter__(self) -> Self:
        self.threads = 1
        self._key = make_sender(self.service.app, scopes=["check"]).key
        Load.__enter__(self)
        thread = threading.Thread(target=self._ask_on)
        thread.start()
        self._running.append(thread)
        return self

    def await_progress(self) -> None:
        """Return once some more clicks, and questions, have ended, in whichever way."""
        clicked, asked = len(self.answers), self.asked
        assert wait_until(
            lambda: len(self.answers) >= clicked + PROGRESS and self.asked >= asked + PROGRESS,
            PATIENCE,
        ), self.counts

    def await_service(self) -> None:
        """Return once clicks are recorded, and the sender is answered."""
        recorded, answered = self.counts[200], self.answered
        assert wait_until(
            lambda: self.counts[200] > recorded and self.answered > answered, PATIENCE
        ), self.counts

    def _ask_on(self) -> None:
        headers = {"Authorization": f"Bearer {self._key}"}
        with httpx.Client(base_url=self.service.url, headers=headers, timeout=20) as client:
            while not self._ending.wait(PACE):
                self._ask(client)
                self.asked += 1

    def _ask(self, client: httpx.Client) -> None:
        recorded = {person for person, status in [*self.answers.items()] if status == 200}
        out = [*self.opted_out, *recorded]
        others = [f"bystander-{number}@example.com" for number in range(20)]
        body = {"message_type": "offers.weekly", "recipients": [*out, *others]}
        try:
            answer = client.post("/v1/decisions", json=body)
        except httpx.TransportError:
            return
        if answer.status_code != 200:
            return
        self.answered += 1
        for person, decision in zip([*out, *others], answer.json()["decisions"], strict=True):
            if person in others and not decision["allow"]:
                self.denied.add(person)
            if person not in others and decision["allow"]:
                self.allowed.add(person)
