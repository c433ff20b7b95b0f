"""What a caller waits, through the Python client: the percentiles behind its time-outs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).parents[1] / "clients" / "python" / "src"))  # not installed

from bench import ground
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.api import keys
from preference_center.web.api.keys import KeyScope
from preference_center_client import NO_RETRIES, Client, OptOut

THREADS = 4
LIST = 10_000
PARTS_PER_THOUSAND = (500, 990, 999, 1_000)


@dataclass(frozen=True, slots=True)
class Waits:
    """Milliseconds that a call took: median, 99%, 99.9%, the longest."""

    name: str
    count: int
    milliseconds: tuple[float, ...]

    def __str__(self) -> str:
        half, most, nearly_all, longest = self.milliseconds
        return (
            f"{self.name}: p50 {half:.1f} ms, p99 {most:.0f} ms, p99.9 {nearly_all:.0f} ms, the"
            f" longest of {self.count:,} {longest:.0f} ms"
        )


def make_key(here: ground.Ground) -> str:
    """A key that may check and write."""
    with here.app.app_context():
        now = datetime.now(UTC)
        scopes = [KeyScope.CHECK, KeyScope.WRITE]
        return run_in_transaction(
            lambda c: keys.create_key(c, f"calls-{uuid4().hex[:8]}", scopes, ["*"], now)
        )


def measure(site: str, key: str, seconds: float) -> list[Waits]:
    """One decision, a list of them, and an opt-out, by a few threads of one client."""
    now = datetime.now(UTC)
    people = [f"p{number}@example.com" for number in range(LIST)]
    with Client(site, key, retries=NO_RETRIES) as client:

        def decide() -> None:
            if client.decide(ground.MESSAGE_TYPE, "ada@example.com").rule == "unanswered":
                raise RuntimeError("a decision was not answered")

        def decide_list() -> None:
            if client.decide_many(ground.MESSAGE_TYPE, people)[-1].rule == "unanswered":
                raise RuntimeError("a list was not answered")

        def opt_out() -> None:
            address = f"{uuid4().hex}@example.com"
            client.record_opt_out(OptOut(address, ground.TOPIC, "phone", now))

        return [
            _measure("a decision", decide, seconds, THREADS),
            _measure(f"decisions about {LIST:,}", decide_list, seconds, 1),
            _measure("an opt-out", opt_out, seconds, THREADS),
        ]


def _measure(name: str, call: Callable[[], None], seconds: float, threads: int) -> Waits:
    call()

    def repeat() -> list[float]:
        waits, end = [], time.perf_counter() + seconds
        while (begun := time.perf_counter()) < end:
            call()
            waits.append(time.perf_counter() - begun)
        return waits

    with ThreadPoolExecutor(threads) as pool:
        runs = [pool.submit(repeat) for _ in range(threads)]
        waits = sorted(wait for run in runs for wait in run.result())
    return Waits(name, len(waits), tuple(_percentile(waits, part) for part in PARTS_PER_THOUSAND))


def _percentile(waits: Sequence[float], part: int) -> float:
    return 1_000 * waits[min(len(waits) * part // 1_000, len(waits) - 1)]
