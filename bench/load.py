"""Loads a web server with wrk, or with a client of our own where there is no wrk."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlsplit

SCRIPT = Path(__file__).with_name("wrk.lua")
CONNECTIONS = 16
UNHURRIED = 64
"""Connections that pause between requests."""
NO_WRK = (
    "wrk is not here (`apt-get install wrk`, `brew install wrk`): a client in Python takes its"
    " place, which itself holds the figures down"
)


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `key` is a bearer key."""

    path: str
    body: str = ""
    method: str = "POST"
    content_type: str = "application/x-www-form-urlencoded"
    key: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rate:
    """What a server did: requests a second, and how long they took in milliseconds."""

    per_second: float
    p50: float
    p99: float


def load(base: str, requests: Sequence[Request], seconds: float, connections: int) -> Rate:
    """Send `requests` over and over for some seconds. Raises RuntimeError unless all got a 2xx."""
    send = _wrk if shutil.which("wrk") else _python
    return send(base, requests, seconds, connections)


def load_at(
    base: str, requests: Sequence[Request], seconds: float, per_second: float
) -> Rate | None:
    """`load`, but about so many a second at random times, over many connections.

    None where there is no wrk: a client in Python is late too often to tell a 99th percentile.
    """
    if not shutil.which("wrk"):
        return None
    return _wrk(base, requests, seconds, UNHURRIED, pause=1000 * UNHURRIED / per_second)


def _wrk(
    base: str, requests: Sequence[Request], seconds: float, connections: int, pause: float = 0
) -> Rate:
    rows = (
        (r.method, r.path, r.content_type, r.key, _header_lines(r.headers), r.body)
        for r in requests
    )
    with tempfile.NamedTemporaryFile("w") as file:
        file.writelines("\t".join(row) + "\n" for row in rows)
        file.flush()
        command = ["wrk", "-t1", f"-c{connections}", "--timeout=30s"]
        command += [
            f"-d{max(1, round(seconds))}s",
            "-s",
            str(SCRIPT),
            base,
            "--",
            file.name,
            f"{pause:.3f}",
        ]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = json.loads(output[output.rindex("{") :])
    if found["faults"]:
        raise RuntimeError(f"{found['faults']} of {found['requests']} requests failed")
    return Rate(found["requests"] / found["seconds"], found["p50"], found["p99"])


def _header_lines(headers: Mapping[str, str]) -> str:
    return "|".join(f"{name}: {value}" for name, value in headers.items())


def _python(base: str, requests: Sequence[Request], seconds: float, connections: int) -> Rate:
    processes = min(2, connections)
    send = partial(_process, base, requests, seconds, connections // processes, processes)
    with ProcessPoolExecutor(processes) as pool:
        times = list(chain.from_iterable(pool.map(send, range(processes))))
    cuts = quantiles(times, n=100)
    return Rate(len(times) / seconds, cuts[49] * 1000, cuts[98] * 1000)


def _process(
    base: str,
    requests: Sequence[Request],
    seconds: float,
    connections: int,
    processes: int,
    number: int,
) -> list[float]:
    end = time.monotonic() + seconds
    step = connections * processes
    send = partial(_connection, base, requests, end, step)
    with ThreadPoolExecutor(connections) as pool:
        return list(chain.from_iterable(pool.map(send, range(number, step, processes))))


def _connection(
    base: str, requests: Sequence[Request], end: float, step: int, first: int
) -> list[float]:
    client = http.client.HTTPConnection(urlsplit(base).netloc, timeout=30)
    times: list[float] = []
    while time.monotonic() < end:
        request = requests[(first + step * len(times)) % len(requests)]
        headers = {"Content-Type": request.content_type, **request.headers}
        if request.key:
            headers["Authorization"] = f"Bearer {request.key}"
        begin = time.monotonic()
        client.request(request.method, request.path, request.body, headers)
        answer = client.getresponse()
        answer.read()
        if answer.status // 100 != 2:
            raise RuntimeError("a request failed")
        times.append(time.monotonic() - begin)
    client.close()
    return times
