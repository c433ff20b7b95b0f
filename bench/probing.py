"""`/healthz` while a tool is late: its cost must not grow with the trouble that it reports."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import psycopg

from bench import web
from bench.ground import Ground, add_destinations
from preference_center.core.deadlines import AT_RISK, WINDOW

DESTINATIONS = 50
_LATE = """INSERT INTO sync_state (destination_id, address_id, wanted_version, due_at, next_at)
SELECT %(destination)s, n, n, %(first)s + n * %(apart)s::interval, %(next)s
FROM generate_series(1, %(count)s::bigint) AS n"""


@dataclass(frozen=True, slots=True)
class Probed:
    """Milliseconds: of a process's first answer, which counts, and of the next."""

    counted: float
    cached: float


def probe(ground: Ground, late: int, destinations: int = 1) -> Probed:
    """Ask with `late` rows in all, as of many destinations, spread over all stages."""
    with ground.app.app_context():
        numbers = add_destinations(destinations)
    count, now = late // destinations, datetime.now(UTC)
    given = {
        "first": now - timedelta(hours=24),
        "apart": (timedelta(hours=24) + WINDOW - AT_RISK) / count,
        "next": now + timedelta(hours=1),
        "count": count,
    }
    with psycopg.connect(ground.settings.database_url) as connection:
        for number in numbers:
            connection.execute(_LATE, given | {"destination": number})
    with web.serving(ground.environ, workers=1) as site:
        httpx.get(f"{site}/livez")  # whatever a first request costs anywhere
        first, second = _asked(site), _asked(site)
    return Probed(first, second)


def _asked(site: str) -> float:
    begin = time.perf_counter()
    answer = httpx.get(f"{site}/healthz", timeout=60)
    took = time.perf_counter() - begin
    if answer.json()["window"] != "overdue":
        raise RuntimeError(answer.text)
    return took * 1000
