"""Somebody holds one row for as long as it takes; only that person's click waits for it (I2)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import psycopg
import pytest

from dev.processes import wait_until
from tests.faults.service import PATIENCE, Service
from tests.web.api.sender import make_sender

OTHERS = 50
BLOCKED = "blocked@example.com"


@contextmanager
def held(service: Service, person: str) -> Iterator[psycopg.Connection]:
    """The row of a person who has been here before is locked."""
    service.click(service.token(person))
    with psycopg.connect(service.settings.database_url) as other:
        digest = service.digest(person)
        other.execute("SELECT FROM address WHERE digest = %s FOR UPDATE", (digest,))
        yield other


def waiting(service: Service) -> bool:
    return bool(service.rows("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))


@pytest.fixture
def key(service: Service) -> str:
    service.start("web")
    return make_sender(service.app, scopes=["check"]).key


def test_one_locked_address_holds_up_no_other_click_and_no_decision(
    service: Service, key: str
) -> None:  # I1, I2
    clicks = [service.token(f"person-{n}@example.com") for n in range(OTHERS)]
    blocked = service.token(BLOCKED)
    with (
        httpx.Client(base_url=service.url, timeout=PATIENCE) as client,
        ThreadPoolExecutor(12) as pool,
        held(service, BLOCKED),
    ):
        late = [pool.submit(service.post, blocked) for _ in range(2)]
        assert wait_until(lambda: waiting(service), PATIENCE)
        clicked = list(pool.map(lambda token: _click(client, token), clicks))
        decided = list(pool.map(lambda _: _decide(client, key), range(OTHERS)))
        # The row is locked all the while, so none of these waited for it.
        assert (clicked, decided) == ([200] * OTHERS, [200] * OTHERS)
        for one in late:
            one.result(PATIENCE)  # it ends, whether refused or kept for later
    service.click(blocked)


def _click(client: httpx.Client, token: str) -> int:
    return client.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"}).status_code


def _decide(client: httpx.Client, key: str) -> int:
    asked = {"message_type": "offers.weekly", "recipient": "ada@example.com"}
    headers = {"Authorization": f"Bearer {key}"}
    return client.post("/v1/decisions", json=asked, headers=headers).status_code
