"""A destination is added to a million suppressions while people go on clicking."""

from __future__ import annotations

import http.client
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psycopg

from bench import opt_out, web
from bench.decisions import DRAFT, FILL, MADE_UP
from bench.ground import TOPIC, Ground, add_destination
from bench.load import Request
from preference_center.domain.addresses import NORM_VERSION
from preference_center.ledger.backfilling import backfill

CLICKS = 200
"""A second."""
_THREADS = 16
_REQUESTS = 60_000
_ALONE = 10
"""Seconds of clicks alone."""


@dataclass(frozen=True, slots=True)
class Clicks:
    """How long they took, in milliseconds."""

    count: int
    p50: float
    p99: float
    slowest: float


@dataclass(frozen=True, slots=True)
class Found:
    """What a back-fill took, and the clicks without it and during it."""

    seconds: float
    rows: int
    alone: Clicks
    meanwhile: Clicks


def measure(here: Ground, count: int) -> Found:
    """Back-fill `count` addresses during CLICKS clicks a second of other people."""
    _fill(here, count)
    requests = opt_out.requests(here, _REQUESTS)
    with (
        web.serving(here.environ) as site,
        ProcessPoolExecutor(1) as pool,
        TemporaryDirectory() as folder,
    ):
        stop = Path(folder) / "stop"
        alone = pool.submit(_click, site, requests[: _ALONE * CLICKS], stop).result()
        with here.app.app_context():
            number = add_destination("new", "webhook")
            meanwhile = pool.submit(_click, site, requests[_ALONE * CLICKS :], stop)
            begun = time.monotonic()
            rows = backfill(number)
            seconds = time.monotonic() - begun
        stop.touch()
        return Found(seconds, rows, _clicks(alone), _clicks(meanwhile.result()))


def _fill(here: Ground, count: int) -> None:
    values = {"norm": NORM_VERSION, "topic": TOPIC, "now": datetime.now(UTC)}
    with psycopg.connect(here.settings.database_url) as connection:
        connection.execute(DRAFT)
        connection.execute(MADE_UP, (count,))
        for statement in FILL:
            connection.execute(statement, values)
        connection.execute("UPDATE address SET ciphertext = 'readable'")
        connection.execute("SELECT setval(pg_get_serial_sequence('address', 'id'), %s)", (count,))
    here.vacuum()


def _click(base: str, requests: Sequence[Request], stop: Path) -> list[float]:
    """Send them at an even pace until `stop` is there; seconds from when each was due."""
    begun = time.monotonic()

    def connection(first: int) -> list[float]:
        client = http.client.HTTPConnection(urlsplit(base).netloc, timeout=60)
        times = []
        for number in range(first, len(requests), _THREADS):
            due = begun + number / CLICKS
            time.sleep(max(0.0, due - time.monotonic()))
            if stop.exists():
                break
            request = requests[number]
            headers = {"Content-Type": request.content_type}
            client.request(request.method, request.path, request.body, headers)
            answer = client.getresponse()
            answer.read()
            if answer.status != HTTPStatus.OK:
                raise RuntimeError("a click was refused")
            times.append(time.monotonic() - due)
        client.close()
        return times

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(chain.from_iterable(pool.map(connection, range(_THREADS))))


def _clicks(times: Sequence[float]) -> Clicks:
    cuts = quantiles(times, n=100)
    return Clicks(len(times), 1000 * cuts[49], 1000 * cuts[98], 1000 * max(times))
