"""Ten thousand people are erased in one run, which is killed halfway, while others click."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import opt_out, web
from bench.clicking import CLICKS, Clicks, click, summarize
from bench.ground import TOPIC, Ground, add_destinations, hush
from dev.processes import wait_until
from preference_center.app.web import create_app
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import Change, EventKind
from preference_center.infra.config import Settings
from preference_center.infra.context import services
from preference_center.infra.db.connections import COMMAND_TIMEOUTS
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.erasure.erase import erase_addresses
from preference_center.rights.rules.requests import Extent

TOOLS = 3
_AT_ONCE = 1_000
_REQUESTS = 12_000
"""For each second of a measurement: more than are sent."""
_ALONE = 2
"""Clicks alone last so many times the seconds of a measurement."""
_LONGEST = 600.0
"""Seconds that the first half is waited for."""


@dataclass(frozen=True, slots=True)
class Found:
    """How long the two halves took together, in seconds, and the clicks without and with them."""

    seconds: float
    erased: int
    before_kill: int
    alone: Clicks
    meanwhile: Clicks


def measure(here: Ground, count: int, seconds: float) -> Found:
    """Erase so many addresses during CLICKS clicks a second of other people."""
    with here.app.app_context():
        hush()
        add_destinations(TOOLS)
        _store(count)
        ids = _stored_ids()
    here.vacuum()
    requests = opt_out.requests(here, int(_REQUESTS * seconds))
    alone_count = int(_ALONE * seconds * CLICKS)
    with (
        web.serving(here.environ) as site,
        ProcessPoolExecutor(1) as pool,
        TemporaryDirectory() as folder,
    ):
        stop = Path(folder) / "stop"
        alone = pool.submit(click, site, requests[:alone_count], stop).result()
        meanwhile = pool.submit(click, site, requests[alone_count:], stop)
        begun = time.monotonic()
        _kill_halfway(here, ids)
        with here.app.app_context():
            before_kill = _count()
            _erase(ids)
            took, erased = time.monotonic() - begun, _count()
        stop.touch()
        return Found(took, erased, before_kill, summarize(alone), summarize(meanwhile.result()))


def _store(count: int) -> None:
    for first in range(0, count, _AT_ONCE):
        record([_change(number) for number in range(first, min(first + _AT_ONCE, count))])


def _change(number: int) -> Change:
    now = datetime.now(UTC)
    return Change(
        id=services().new_id(),
        kind=EventKind.OPTED_IN,
        address=parse_address(f"erased-{number}@people.example", Channel.EMAIL),
        scope=TOPIC,
        occurred_at=now,
        received_at=now,
        source="shop",
        actor="bench",
        evidence={"source": "shop", "wording": "Yes, please", "language": "en"},
    )


def _stored_ids() -> list[int]:
    rows = run_in_transaction(
        lambda c: c.execute(
            "SELECT id FROM address WHERE ciphertext IS NOT NULL ORDER BY id"
        ).fetchall()
    )
    return [row[0] for row in rows]


def _count() -> int:
    rows = run_in_transaction(lambda c: c.execute("SELECT count(*) FROM erasure").fetchall())
    return int(rows[0][0])


def _erase(ids: list[int]) -> None:
    erase_addresses(
        ids, Extent.MARKETING, origin=RequestOrigin("bench", "bench", datetime.now(UTC))
    )


def _erase_in_process(settings: Settings, ids: list[int]) -> None:
    with create_app(settings, timeouts=COMMAND_TIMEOUTS).app_context():
        hush()
        _erase(ids)


def _kill_halfway(here: Ground, ids: list[int]) -> None:
    """Have a process erase them, and kill it (SIGKILL) once half of them are."""
    process = get_context("spawn").Process(target=_erase_in_process, args=(here.settings, ids))
    process.start()
    with here.app.app_context():
        is_half_done: Callable[[], bool] = lambda: 2 * _count() >= len(ids)  # noqa: E731
        if not wait_until(is_half_done, _LONGEST):
            raise RuntimeError("half of them were not erased in time")
    process.kill()
    process.join()
