"""Clicks of people at an even pace, while something else is done."""

from __future__ import annotations

import http.client
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlsplit

from bench.load import Request

CLICKS = 200
"""A second."""
_THREADS = 16


@dataclass(frozen=True, slots=True)
class Clicks:
    """How long they took, in milliseconds."""

    count: int
    p50: float
    p99: float
    slowest: float


def click(base: str, requests: Sequence[Request], stop: Path) -> list[float]:
    """Send them at an even pace until `stop` is there; seconds from when each was due."""
    begun = time.monotonic()

    def connection(first: int) -> list[float]:
        client = http.client.HTTPConnection(urlsplit(base).netloc, timeout=60)
        times: list[float] = []
        for number in range(first, len(requests), _THREADS):
            due = begun + number / CLICKS
            time.sleep(max(0.0, due - time.monotonic()))
            if times and stop.exists():
                break  # after one at least, however soon the other work ended
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


def summarize(times: Sequence[float]) -> Clicks:
    """The median, the 99th percentile and the slowest."""
    cuts = quantiles(times, n=100)
    return Clicks(len(times), 1000 * cuts[49], 1000 * cuts[98], 1000 * max(times))
