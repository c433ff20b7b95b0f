"""`python -m bench.imports`: what people who click notice of an import, and what it takes.

One-click opt-outs arrive at a steady rate while a list is imported as `flask imports
apply` does it, and while nothing is. It is not part of `make bench`: it takes a minute.
"""

from __future__ import annotations

import argparse
import http.client
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlsplit

import psycopg

from bench import ground, opt_out, web
from bench.load import Request
from dev.engines import Engines
from preference_center.catalogue.store import current_catalogue
from preference_center.core.events import ALL_MARKETING
from preference_center.integrations.base.presets import MeaningFilter
from preference_center.integrations.registry import get_preset
from preference_center.lists.imports.plan import plan_import
from preference_center.lists.imports.sources import LocalFile
from preference_center.lists.rules.instructions import ImportInstructions, build_scope_map

ROOT = Path(__file__).resolve().parents[1]
CLIENTS = 8
LISTED = 1_000_000
"""Rows of the list that is imported under load: more than are reached."""


@dataclass(frozen=True, slots=True)
class Clicks:
    """How long clicks took, in milliseconds."""

    count: int
    p50: float
    p99: float


def clicks(base: str, requests: Sequence[Request], seconds: float, per_second: float) -> Clicks:
    """Send one-clicks at a steady rate, whatever the answers take."""
    times: list[float] = []
    begin = time.monotonic()

    def send(first: int) -> None:
        client = http.client.HTTPConnection(urlsplit(base).netloc, timeout=30)
        for number in range(first, int(seconds * per_second), CLIENTS):
            wait = begin + number / per_second - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            request = requests[number % len(requests)]
            sent = time.monotonic()
            headers = {"Content-Type": request.content_type}
            client.request(request.method, request.path, request.body, headers)
            answer = client.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"a click was answered {answer.status}")
            times.append(time.monotonic() - sent)
        client.close()

    threads = [threading.Thread(target=send, args=(n,)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cuts = quantiles(times, n=100)
    return Clicks(len(times), cuts[49] * 1000, cuts[98] * 1000)


def list_file(folder: Path, rows: int) -> Path:
    """A list of so many addresses, each of its own."""
    path = folder / "list.txt"
    with path.open("w") as file:
        file.writelines(f"listed-{n}@example.com\n" for n in range(rows))
    return path


def applying(here: ground.Ground, path: Path, *more: str) -> subprocess.Popen[bytes]:
    """`flask imports apply` of the list, in a process of its own."""
    instructions = ImportInstructions(
        get_preset("addresses"),
        build_scope_map([("list", ALL_MARKETING)]),
        meaning_filter=MeaningFilter.OPT_OUTS,
    )
    name = instructions.plan_id(LocalFile(path).digest())
    words = ["--preset", "addresses", "--scope", "list=all_marketing", "--meaning", "opt-outs"]
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "flask",
            "imports",
            "apply",
            str(path),
            *words,
            "--plan",
            name,
            *more,
        ],
        cwd=ROOT,
        env=os.environ | here.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def position(here: ground.Ground) -> int:
    """How many rows are imported."""
    with psycopg.connect(here.settings.database_url) as connection:
        row = connection.execute("SELECT COALESCE(max(position), 0) FROM list_import").fetchone()
    return int(row[0]) if row else 0


def under_load(engines: Engines, listed: int, rate: float, seconds: float) -> None:
    """Clicks with and without an import of a list running, turn and turn about."""
    with ground.ground(engines) as here, tempfile.TemporaryDirectory() as folder:
        ground.add_destinations(3)
        path = list_file(Path(folder), listed)
        with web.serving(here.environ) as base:
            # Nobody's caches are empty.
            clicks(base, opt_out.requests(here, 500), min(2, seconds), rate)
            for kind, more in (
                ("alone", None),
                ("import", ()),
                ("import, --no-pause", ("--no-pause",)),
            ):
                requests = opt_out.requests(here, int(rate * seconds))
                with _importing(here, path, more):
                    before, begin = position(here), time.monotonic()
                    found = clicks(base, requests, seconds, rate)
                    took, rows = time.monotonic() - begin, position(here) - before
                print(
                    f"{kind}: {found.count} clicks at {rate:.0f}/s, p50 {found.p50:.1f} ms,"
                    f" p99 {found.p99:.1f} ms; {rows / took:,.0f} rows/s imported",
                    flush=True,
                )


@contextmanager
def _importing(here: ground.Ground, path: Path, more: Sequence[str] | None) -> Iterator[None]:
    """While the list is imported with these options; with None nothing is.

    Raises RuntimeError if the import fails.
    """
    if more is None:
        yield
        return
    process = applying(here, path, *more)
    try:
        while not position(here):
            if process.poll():
                raise RuntimeError(f"the import ended with {process.returncode}")
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()
    with psycopg.connect(here.settings.database_url) as connection:
        connection.execute("DELETE FROM list_import")


def planning(engines: Engines, rows: int) -> None:
    """Rows a second of a plan, and the most memory that it took."""
    with ground.ground(engines), tempfile.TemporaryDirectory() as folder:
        path = list_file(Path(folder), rows)
        scopes = build_scope_map([("list", ALL_MARKETING)])
        instructions = ImportInstructions(
            get_preset("addresses"), scopes, meaning_filter=MeaningFilter.OPT_OUTS
        )
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begin = time.perf_counter()
        plan_import(LocalFile(path), instructions, current_catalogue(), on_refusal=lambda _: None)
        took = time.perf_counter() - begin
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(
            f"plan: {rows / took:,.0f} rows/s; memory {before / 1024:.0f} MiB before,"
            f" {after / 1024:.0f} MiB at most",
            flush=True,
        )


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.imports", description=__doc__)
    parser.add_argument("--rate", type=float, default=50, help="clicks a second (default: 50)")
    parser.add_argument("--seconds", type=float, default=8, help="per measurement (default: 8)")
    parser.add_argument("--rows", type=int, default=200_000, help="to plan (default: 200,000)")
    given = parser.parse_args()
    with ground.engines() as engines:
        planning(engines, given.rows)
    with ground.engines() as engines:
        under_load(engines, LISTED, given.rate, given.seconds)


if __name__ == "__main__":
    main()
