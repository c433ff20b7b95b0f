"""Fifty clicks and fifty decisions a second, from mail programs and a sender, until stopped."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Self

import httpx
import psycopg
from flask import Flask

from preference_center.app.web import create_app
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.links.tokens import Link
from preference_center.infra.config import Settings
from preference_center.infra.context import services
from preference_center.infra.db.connections import COMMAND_TIMEOUTS

TOPIC = "acme.offers"
RATE = 50
"""Of each kind, a second."""
THREADS = 5
"""For each kind. A thread that waits for an answer sends nothing: behind, it catches up."""


@dataclass(slots=True)
class Traffic:
    """Requests through `new_client()`, and what came of each."""

    settings: Settings
    key: str
    new_client: Callable[[], httpx.Client]
    clicks: dict[str, str] = field(default_factory=dict)
    """The status or the error that each address got for its click."""
    decisions: list[str] = field(default_factory=list)
    """The same of decisions."""
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _app: Flask = field(init=False)

    def __post_init__(self) -> None:
        self._app = create_app(self.settings, timeouts=COMMAND_TIMEOUTS)

    def __enter__(self) -> Self:
        for send in (self._click, self._decide):
            for number in range(THREADS):
                thread = threading.Thread(target=self._send_at_rate, args=(send, number))
                thread.start()
                self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def failures(self) -> Counter[str]:
        """What went wrong, by status or error."""
        counts = Counter([*self.clicks.values(), *self.decisions])
        return Counter({what: n for what, n in counts.items() if not what.startswith("2")})

    def token(self, address: str) -> str:
        """The token of a link in a mail to the address."""
        with self._app.app_context():
            to = parse_address(address, Channel.EMAIL)
            return services().links.create_token(Link(to, TOPIC, "m-1", services().now()))

    def unrecorded(self) -> set[str]:
        """The addresses whose click got a 2xx and which the database does not deny."""
        query = "SELECT digest FROM address JOIN suppression ON address_id = id WHERE active"
        with psycopg.connect(self.settings.database_url) as connection:
            denied = {bytes(digest) for (digest,) in connection.execute(query)}
        promised = [who for who, status in self.clicks.items() if status.startswith("2")]
        with self._app.app_context():
            keys = services().keys
            return {
                who
                for who in promised
                if keys.exact_digest(parse_address(who, Channel.EMAIL)) not in denied
            }

    def _send_at_rate(self, send: Callable[[httpx.Client, str], None], number: int) -> None:
        began = time.monotonic()
        with self.new_client() as client:
            for turn in count():
                due = began + (turn + number / THREADS) * THREADS / RATE
                if self._stop.wait(max(0.0, due - time.monotonic())):
                    return
                send(client, f"person-{number}-{turn}@example.com")

    def _click(self, client: httpx.Client, address: str) -> None:
        path = f"/u/{self.token(address)}"
        self.clicks[address] = _status(
            lambda: client.post(path, data={"List-Unsubscribe": "One-Click"})
        )

    def _decide(self, client: httpx.Client, address: str) -> None:
        asked = {"message_type": "offers.weekly", "recipient": f"other-{address}"}
        headers = {"Authorization": f"Bearer {self.key}"}
        self.decisions.append(
            _status(lambda: client.post("/v1/decisions", json=asked, headers=headers))
        )


def _status(send: Callable[[], httpx.Response]) -> str:
    try:
        return str(send().status_code)
    except httpx.TransportError as error:
        return type(error).__name__
