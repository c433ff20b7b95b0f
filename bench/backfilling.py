"""A destination is added to a million suppressions while people go on clicking."""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from bench import opt_out, web
from bench.clicking import CLICKS, Clicks, click, summarize
from bench.decisions import DRAFT, FILL, MADE_UP
from bench.ground import TOPIC, Ground, add_destination
from preference_center.core.addresses import NORM_VERSION
from preference_center.destinations.store.backfills import backfill

_REQUESTS = 12_000
"""For each second of a measurement: more than are sent."""
_ALONE = 2
"""Clicks alone last so many times the seconds of a measurement."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a back-fill took, and the clicks without it and during it."""

    seconds: float
    rows: int
    alone: Clicks
    meanwhile: Clicks


def measure(here: Ground, count: int, seconds: float) -> Found:
    """Back-fill `count` addresses during CLICKS clicks a second of other people."""
    _fill(here, count)
    requests = opt_out.requests(here, int(_REQUESTS * seconds))
    alone_count = int(_ALONE * seconds * CLICKS)
    with (
        web.serving(here.environ) as site,
        ProcessPoolExecutor(1) as pool,
        TemporaryDirectory() as folder,
    ):
        stop = Path(folder) / "stop"
        alone = pool.submit(click, site, requests[:alone_count], stop).result()
        with here.app.app_context():
            number = add_destination("new", "webhook")
            meanwhile = pool.submit(click, site, requests[alone_count:], stop)
            begun = time.monotonic()
            rows = backfill(number)
            took = time.monotonic() - begun
        stop.touch()
        return Found(took, rows, summarize(alone), summarize(meanwhile.result()))


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
