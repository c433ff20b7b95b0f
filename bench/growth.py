"""`make bench-growth`: does a decision take longer where a hundred times as many are suppressed?

Two services on one PostgreSQL, with 200 thousand and 20 million suppressions, are asked in
turns about people at random, everyone of whom is suppressed.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from random import Random
from statistics import median

import psycopg

from bench import decisions, ground, web
from bench.ground import TOPIC, Ground
from bench.load import Rate, Request, load
from dev.engines import Engines, for_test
from preference_center.core.addresses import NORM_VERSION, Channel, parse_address
from preference_center.core.key_rings import parse_ring
from preference_center.ledger.store.lookup import load_facts

FEW, MANY = 200_000, 20_000_000
WANTED = 1.3
BYTES_EACH = 1_500
"""Of disk, write-ahead log and all."""

_CHUNK = 1_000_000
_CONNECTIONS = 4
_ASKED = 50_000
_BLOCK = 64  # bytes of a block of SHA-256

# The digests of real addresses, `Keys.digest` in SQL: RFC 2104, written out.
_PEOPLE = """INSERT INTO draft
SELECT n, sha256(%(outer)s::bytea || sha256(%(inner)s::bytea
    || sha256(convert_to(format('grown-%%s@example.com', n), 'UTF8')))), gen_random_uuid()
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n ORDER BY 2"""


def measure(
    engines: Engines, seconds: float, rounds: int, sizes: tuple[int, int] = (FEW, MANY)
) -> None:
    """Fill two databases, ask both in turns, and tell."""
    with ExitStack() as stack:
        sites = []
        for count in sizes:
            here = stack.enter_context(ground.ground(engines))
            fill(here, count)
            asked = _questions(here, count)
            site = stack.enter_context(web.serving(here.environ))
            load(site, asked, min(2, seconds), _CONNECTIONS)
            sites.append((site, asked))
        found = [
            [load(site, asked, seconds, _CONNECTIONS) for site, asked in sites]
            for _ in range(rounds)
        ]
    _report(found, sizes)


def fill(here: Ground, count: int) -> None:
    """Store suppressions of `grown-1@example.com` and so on."""
    ((_, key),) = parse_ring(here.settings.digest_keys)
    pads = {
        name: bytes(byte ^ pad for byte in key.ljust(_BLOCK, b"\0"))
        for name, pad in (("inner", 0x36), ("outer", 0x5C))
    }
    values = {"norm": NORM_VERSION, "topic": TOPIC, "now": datetime.now(UTC)}
    with psycopg.connect(here.settings.database_url) as connection:
        connection.execute(decisions.DRAFT)
        for first in range(1, count + 1, _CHUNK):
            last = min(first + _CHUNK - 1, count)
            connection.execute("TRUNCATE draft")
            connection.execute(_PEOPLE, pads | {"first": first, "last": last})
            for statement in decisions.FILL:
                connection.execute(statement, values)
            connection.commit()
            print(f"\rstored {last:,} of {count:,} suppressions", end="", flush=True)
    here.vacuum()
    with psycopg.connect(here.settings.database_url) as connection:
        size = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert size
    print(f": {size[0] / 1e9:.1f} GB", flush=True)


def _questions(here: Ground, count: int) -> list[Request]:
    with here.app.app_context():
        if not load_facts([parse_address("grown-1@example.com", Channel.EMAIL)])[0]:
            raise RuntimeError("what was stored is not found")
    key = decisions.make_key(here)
    chosen = Random(1).sample(range(1, count + 1), min(_ASKED, count))
    return [decisions.question(key, recipient=f"grown-{n}@example.com") for n in chosen]


def _report(found: Sequence[Sequence[Rate]], sizes: tuple[int, int]) -> None:
    few, many = (median(pair[at].p50 for pair in found) for at in (0, 1))
    ratio = median(pair[1].p50 / pair[0].p50 for pair in found)
    print(
        f"POST /v1/decisions, one: p50 {few:.2f} ms with {sizes[0]:,} suppressions, {many:.2f} ms"
        f" with {sizes[1]:,}: {ratio:.2f} times as long (wanted: at most {WANTED})"
    )


def main() -> None:
    """Measure, unless there is too little space."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="per measurement (default: 5)")
    parser.add_argument("--rounds", type=int, default=7, help="the median counts (default: 7)")
    given = parser.parse_args()
    with for_test() as engines:
        try:
            free = shutil.disk_usage(engines.folder).free
            if free < MANY * BYTES_EACH:
                parser.error(f"this needs {MANY * BYTES_EACH / 1e9:.0f} GB at {engines.folder}")
            measure(engines, given.seconds, given.rounds)
        finally:
            ground.forget(engines)


if __name__ == "__main__":
    main()
