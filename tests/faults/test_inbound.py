"""Web processes and workers are killed while tools post; what was acknowledged is recorded."""

from __future__ import annotations

import signal
import threading
from datetime import UTC, datetime

import httpx

from dev.processes import wait_until
from preference_center.destinations.connect import LEASE_DURATION
from preference_center.destinations.store.destinations import insert_destination
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from tests.faults.service import PATIENCE, Service

SECRET = "long-and-random-secret"


def listen(service: Service) -> None:
    """Connect SparkPost, which is only listened to."""
    with service.app.app_context():
        keys = services().keys
        run_in_transaction(
            lambda connection: insert_destination(
                connection,
                keys,
                name="sparks",
                kind="sparkpost",
                settings={"webhook_secret": SECRET, "networks": "127.0.0.1"},
                channels=frozenset(),
                mapping={},
                sends=frozenset(),
                sends_service=False,
                now=datetime.now(UTC),
            )
        )


class Poster(threading.Thread):
    """Reports one person after the other until stopped; `done` got a 2xx."""

    def __init__(self, service: Service, name: str) -> None:
        super().__init__(name=name)
        self.done: list[str] = []
        self.ending = threading.Event()
        self._url = f"{service.url}/in/sparks/{SECRET}"

    def run(self) -> None:
        with httpx.Client() as client:
            count = 0
            while not self.ending.is_set():
                count += 1
                person = f"{self.name}-{count}@example.com"
                event = {"type": "list_unsubscribe", "rcpt_to": person, "event_id": person}
                try:
                    body = [{"msys": {"unsubscribe_event": event}}]
                    answer = client.post(self._url, json=body, timeout=10)
                except httpx.TransportError:
                    self.ending.wait(0.05)  # nobody listens just now
                    continue
                if answer.status_code == 204:
                    self.done.append(person)


def test_an_acknowledged_event_is_recorded_whoever_is_killed_when(
    durable: None, service: Service
) -> None:  # I1
    listen(service)
    web, _, worker = (service.start(name) for name in ("web", "scheduler", "worker"))
    posters = [Poster(service, f"poster-{number}") for number in range(3)]
    for poster in posters:
        poster.start()

    def acknowledged() -> int:
        return sum(len(poster.done) for poster in posters)

    def recorded() -> int:
        return int(service.rows("SELECT count(*) FROM event")[0][0])

    try:
        assert wait_until(lambda: recorded() > 0, PATIENCE)
        worker.signal(signal.SIGKILL)
        web.signal(signal.SIGKILL)
        before = acknowledged()
        service.start("web")
        assert wait_until(lambda: acknowledged() > before + 50, PATIENCE)
        service.start("worker")
    finally:
        for poster in posters:
            poster.ending.set()
        for poster in posters:
            poster.join()
    service.shift(LEASE_DURATION)  # what the killed worker held
    assert wait_until(lambda: recorded() >= acknowledged(), PATIENCE)
    found = {bytes(row[0]) for row in service.rows("SELECT digest FROM address")}
    people = [person for poster in posters for person in poster.done]
    assert [person for person in people if service.digest(person) not in found] == []
    left = "SELECT count(*) FROM webhook_inbox WHERE next_at IS NOT NULL"
    assert wait_until(lambda: service.rows(left) == [(0,)], PATIENCE)
