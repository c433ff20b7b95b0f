"""The web process and the database go away under load; what got a 2xx stays (I1)."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import httpx
import pytest

from dev.engines import Engines
from dev.processes import children, wait_until
from preference_center.destinations.connect import LEASE_DURATION
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.api.keys import KeyScope, create_key
from tests.faults.service import PATIENCE, Service
from tests.faults.tool import SlowReceiver

LOST = 0
"""In place of a status: no answer came."""


@dataclass(slots=True)
class Load:
    """Threads that unsubscribe one person after the other until stopped."""

    service: Service
    threads: int = 4
    answers: dict[str, int] = field(default_factory=dict)
    bodies: list[str] = field(default_factory=list)
    _ending: threading.Event = field(default_factory=threading.Event)
    _running: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        for number in range(self.threads):
            thread = threading.Thread(target=self._go_on, args=(number,))
            thread.start()
            self._running.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._running:
            thread.join()

    @property
    def counts(self) -> Counter[int]:
        return Counter(list(self.answers.values()))

    @property
    def promised(self) -> set[str]:
        """Everybody whose request got a 2xx."""
        return {person for person, status in self.answers.items() if 200 <= status < 300}

    def _go_on(self, thread: int) -> None:
        count = 0
        with httpx.Client() as client:
            while not self._ending.is_set():
                count += 1
                person = f"person-{thread}-{count}@example.com"
                self.answers[person] = self._post(client, self.service.token(person))

    def _post(self, client: httpx.Client, token: str) -> int:
        try:
            answer = self.service.post(token, client)
        except httpx.TransportError:
            return LOST
        if answer.status_code >= 400:
            self.bodies.append(answer.text)
        return answer.status_code


@pytest.fixture
def load(durable: None, service: Service) -> Load:
    service.start("web")
    return Load(service)


def lost(service: Service, load: Load) -> list[str]:
    """Whose opt-out is not in the database, though it got a 2xx."""
    found = service.rows(
        "SELECT digest FROM address JOIN suppression ON address_id = id WHERE active"
    )
    digests = {bytes(digest) for (digest,) in found}
    return [person for person in load.promised if service.digest(person) not in digests]


def test_a_web_process_killed_right_after_its_2xx_has_written_it(
    service: Service, load: Load
) -> None:  # I1
    web = service.processes[0]
    with load:
        assert wait_until(lambda: load.counts[200] >= 50, PATIENCE)
        web.signal(signal.SIGKILL)
        assert wait_until(lambda: load.counts[LOST] >= 4, PATIENCE)
    assert {200, LOST} <= set(load.counts) <= {200, LOST, 503}  # the disk may stall
    assert lost(service, load) == []


@pytest.mark.parametrize("how", ["restarted", "killed"])
def test_a_database_that_restarts_under_load_loses_no_promise(
    service: Service, own_engines: Engines, tool: SlowReceiver, load: Load, how: str
) -> None:  # I1
    database = own_engines.database
    for name in ("worker", "scheduler"):
        service.start(name)
    with load:
        assert wait_until(lambda: load.counts[200] >= 50 and len(tool.off) > 10, PATIENCE)
        if how == "killed":
            database.kill()
        else:
            database.stop()
        assert wait_until(lambda: load.counts[503] >= 4, PATIENCE)
        database.start()
        before = load.counts[200]
        assert wait_until(lambda: load.counts[200] >= before + 50, PATIENCE)

    assert set(load.counts) == {200, 503}
    assert all("again in a minute" in body for body in load.bodies)
    assert lost(service, load) == []
    service.shift(LEASE_DURATION)  # what a worker had claimed and could not settle
    assert wait_until(lambda: load.promised <= set(tool.off), PATIENCE)
    assert wait_until(lambda: service.pending() == 0, PATIENCE)
    assert all(process.alive for process in service.processes)
    assert '"unexpected"' not in service.logs()  # the event, not PostgreSQL's own words


def test_processes_started_before_the_database_wait_for_it(
    service: Service, own_engines: Engines, tool: SlowReceiver
) -> None:
    own_engines.database.stop()
    processes = [service.start(name) for name in ("worker", "scheduler")]
    assert wait_until(lambda: service.logs().count("database_unavailable") > 2, PATIENCE)
    own_engines.database.start()
    service.start("web")
    service.click(service.token("jane@example.com"))
    assert wait_until(lambda: "jane@example.com" in tool.off, PATIENCE)
    assert all(process.alive for process in processes)


def test_a_web_process_started_before_the_database_answers_once_it_is_there(
    service: Service, own_engines: Engines
) -> None:  # I1
    own_engines.database.stop()
    web = service.start("web", ready=False)
    token = service.token("jane@example.com")
    assert wait_until(lambda: service.status("/healthz") == 503, PATIENCE), service.logs()
    assert service.post(token).status_code == 503
    own_engines.database.start()
    assert wait_until(lambda: service.status("/healthz") == 200, PATIENCE)
    service.click(token)
    assert service.rows("SELECT count(*) FROM suppression WHERE active") == [(1,)]
    assert web.alive


def test_what_a_key_was_used_for_is_stored_as_the_web_process_stops(service: Service) -> None:
    with service.app.app_context():
        text = run_in_transaction(
            lambda c: create_key(c, "shop", [KeyScope.CATALOGUE], [], datetime.now(UTC))
        )
    web = service.start("web")
    headers = {"Authorization": f"Bearer {text}"}
    answer = httpx.get(f"{service.url}/v1/catalogue", headers=headers, timeout=10)
    assert answer.status_code == 200
    web.signal(signal.SIGTERM)
    assert wait_until(lambda: not web.alive, PATIENCE)
    assert service.rows("SELECT requests FROM key_usage") == [(1,)]
    assert service.rows("SELECT last_used_at IS NOT NULL FROM api_key") == [(True,)]


def test_a_web_process_asked_to_stop_while_it_starts_ends(service: Service) -> None:
    web = service.start("web", ready=False)
    assert wait_until(lambda: len(children(web.popen.pid)) == 2, PATIENCE)
    web.popen.terminate()  # its workers have only begun to import the service
    web.popen.wait(50 + PATIENCE)


def test_a_frozen_database_keeps_no_probe_waiting(service: Service) -> None:  # I2
    service.start("web")
    assert service.status("/readyz") == 200
    (folder,) = service.rows("SHOW data_directory")[0]
    backends = service.rows("SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'client%'")
    frozen = [int(Path(folder, "postmaster.pid").read_text().split()[0])]
    frozen += [pid for (pid,) in backends]
    for pid in frozen:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        assert [service.status("/readyz") for _ in range(3)] == [503] * 3
        assert service.status("/livez") == 200
    finally:
        for pid in frozen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    assert wait_until(lambda: service.status("/readyz") == 200, PATIENCE)
