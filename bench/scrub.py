"""`python -m bench.scrub`: a list of ten million rows against five million suppressions.

On two cores take turns: DuckDB that reads the list and hashes its addresses (SHA-256),
`flask scrub` as a process of its own, and Python that asks Redis about the same digests by
pipelined SMISMEMBER. The latter is measured twice: look-ups alone, their digests at hand, and
the whole job, which reads a CSV file, makes the digests and writes a CSV file.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import duckdb
import psycopg
from redis import Redis

from bench import ground
from bench.ground import MESSAGE_TYPE, TOPIC, Ground
from dev.engines import Engines
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import InvalidAddress
from preference_center.core.keys import Keys
from preference_center.infra.context import services

CHUNK = 1000
PIPELINED = 10
SET = "suppressed"

# Person n, as campaign tools export them: three in ten at Gmail, a third of those with a dot;
# some at Outlook; a tag in a hundred; one in a thousand with a display name.
_ADDRESS = """CASE
    WHEN mod(n, 1000) = 7 THEN 'Anna Rossi <Anna.Rossi' || n || '@Example' || mod(n, 5000) || '.it>'
    WHEN mod(n, 100) = 13 THEN 'anna' || n || '+shop@example' || mod(n, 5000) || '.it'
    WHEN mod(n, 10) = 0 THEN 'anna.rossi' || n || '@gmail.com'
    WHEN mod(n, 10) < 3 THEN 'annarossi' || n || '@gmail.com'
    WHEN mod(n, 10) = 4 THEN 'anna.rossi' || n || '@outlook.it'
    ELSE 'anna.rossi' || n || '@example' || mod(n, 5000) || '.it' END"""
# One row in ten is of a person who opted out.
_LIST = """COPY (
    SELECT i AS id, {address} AS email, 'Anna' || i % 997 AS first_name,
        'Rossi' || i % 9973 AS last_name, 'Via Roma ' || i % 300 AS street,
        'Torino' || i % 900 AS city, 'IT' AS country, 'it' AS language,
        DATE '1950-01-01' + CAST(i % 20000 AS INTEGER) AS born,
        TIMESTAMP '2020-01-01' + to_seconds(i) AS signed_up, 'website' AS source
    FROM (SELECT i, CASE WHEN i % 10 = 0 THEN i // 10 * {step} ELSE {stored} + i END AS n
        FROM range({rows}) AS r (i)) AS people
) TO '{path}' (HEADER)"""
_HMAC = "sha256(%(outer)s::bytea || sha256(%(inner)s::bytea || sha256(convert_to({}, 'UTF8'))))"
_FILL = (
    f"""CREATE TEMPORARY TABLE draft AS SELECT n, lower(COALESCE(
        substring({_ADDRESS} FROM '<(.*)>'), {_ADDRESS})) AS form
    FROM generate_series(0, %(stored)s - 1) AS r (n)""",
    # At Gmail a dot makes another form; the mailbox is stored under the form without.
    f"""INSERT INTO address_key (digest, channel, address_id, kind)
    SELECT {_HMAC.format("form")}, 'email', n,
        CASE WHEN form ~ '[.].*@gmail[.]com' THEN 1 ELSE 3 END
    FROM draft ORDER BY 1""",
    f"""INSERT INTO address_key (digest, channel, address_id, kind)
    SELECT {_HMAC.format("replace(split_part(form, '@', 1), '.', '') || '@gmail.com'")},
        'email', n, 2
    FROM draft WHERE form ~ '[.].*@gmail[.]com' ORDER BY 1""",
    """INSERT INTO suppression (address_id, scope, out_at, out_event, reason)
    SELECT n, %(topic)s, '2026-01-01Z', gen_random_uuid(), 'opted_out' FROM draft""",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Size:
    """Rows of the list, people who opted out, rounds, and rows that Redis is asked about."""

    rows: int
    stored: int
    rounds: int
    asked: int


def prepare(here: Ground, size: Size, folder: Path) -> None:
    """Write the list, fill the database, and take the snapshot, by the product's command."""
    with closing(duckdb.connect()) as connection:
        connection.execute(
            _LIST.format(
                address=_ADDRESS,
                step=max(1, size.stored * 10 // size.rows),
                stored=size.stored,
                rows=size.rows,
                path=folder / "list.csv",
            )
        )
    with here.app.app_context():
        ((inner, outer),) = services().keys.hmac_pads()
    values = {"inner": inner, "outer": outer, "stored": size.stored, "topic": TOPIC}
    with psycopg.connect(here.settings.database_url) as database:
        for statement in _FILL:
            given = psycopg.ClientCursor(database).mogrify(statement, values)
            database.execute(given.encode())
    here.vacuum()
    seconds, memory = _flask(here, "snapshot", "make", folder / "snapshot.parquet")
    say(f"flask snapshot make: {size.stored / seconds:,.0f} people/s, {memory:,} MiB")


def alone(folder: Path, size: Size) -> float:
    """Rows a second that DuckDB reads and hashes."""
    with closing(duckdb.connect()) as connection:
        begin = time.perf_counter()
        connection.execute(
            f"SELECT max(sha256(email)) FROM read_csv('{folder / 'list.csv'}', all_varchar = true)"
        ).fetchall()
        return size.rows / (time.perf_counter() - begin)


def ours(here: Ground, folder: Path, size: Size) -> tuple[float, int]:
    """Rows a second of `flask scrub`, from its start to its end, and its peak MiB."""
    seconds, memory = _flask(
        here, "scrub", folder / "list.csv", "--message-type", MESSAGE_TYPE,
        "--snapshot", folder / "snapshot.parquet", "-o", folder / "clean.csv",
        "--removed", folder / "removed.csv", "--receipt", folder / "receipt.json",
    )  # fmt: skip
    return size.rows / seconds, memory


def load_redis(redis: Redis, folder: Path) -> None:
    """Put every digest of the snapshot into one set."""
    redis.delete(SET)
    with closing(duckdb.connect()) as connection:
        found = connection.execute(f"SELECT digest FROM '{folder / 'snapshot.parquet'}'")
        while rows := found.fetchmany(PIPELINED * CHUNK):
            redis.sadd(SET, *(bytes.fromhex(digest) for (digest,) in rows))


def look_ups(redis: Redis, keys: Keys, folder: Path, size: Size) -> float:
    """Members a second that Redis is asked about, their digests made before."""
    with (folder / "list.csv").open(newline="") as file:
        rows = islice(csv.DictReader(file), size.asked)
        members = [keys.digest(row["email"]) for row in rows]
    begin = time.perf_counter()
    for first in range(0, len(members), PIPELINED * CHUNK):
        _ask(redis, members[first : first + PIPELINED * CHUNK])
    return len(members) / (time.perf_counter() - begin)


def job(redis: Redis, keys: Keys, folder: Path, size: Size) -> float:
    """Rows a second of the same job as a scrub's: list in, clean list out."""
    begin = time.perf_counter()
    with (
        (folder / "list.csv").open(newline="") as source,
        (folder / "redis.csv").open("w", newline="") as target,
    ):
        rows, writer = csv.reader(source), csv.writer(target)
        writer.writerow(next(rows))
        for chunk in _chunks(islice(rows, size.asked)):
            found = [_digests(keys, row[1]) for row in chunk]
            answers = iter(_ask(redis, [digest for digests in found for digest in digests]))
            for row, digests in zip(chunk, found, strict=True):
                hits = [next(answers) for _ in digests]
                if hits and not any(hits):
                    writer.writerow(row)
    return size.asked / (time.perf_counter() - begin)


def _chunks(rows: Iterator[list[str]]) -> Iterator[list[list[str]]]:
    while chunk := list(islice(rows, PIPELINED * CHUNK)):
        yield chunk


def _digests(keys: Keys, cell: str) -> list[bytes]:
    with suppress(InvalidAddress):
        return list(keys.match_keys(parse_address(cell, Channel.EMAIL)))
    return []


def _ask(redis: Redis, members: list[bytes]) -> list[int]:
    with redis.pipeline(transaction=False) as pipeline:
        for first in range(0, len(members), CHUNK):
            pipeline.smismember(SET, members[first : first + CHUNK])
        return [answer for part in pipeline.execute() for answer in part]


def _flask(here: Ground, *words: object) -> tuple[float, int]:
    """Run a command; its seconds, and the most memory (MiB) that any command so far had."""
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "flask", "--app", "app", *map(str, words)],
        check=True,
        env=os.environ | here.environ,
        stdout=subprocess.DEVNULL,
    )
    seconds = time.perf_counter() - begin
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024


def measure(engines: Engines, size: Size) -> None:
    """Everything, in a database and a folder of its own."""
    with (
        ground.ground(engines) as here,
        Redis.from_url(engines.redis.url) as redis,
        TemporaryDirectory() as folder,
    ):
        _measure(here, size, redis, Path(folder))


def _measure(here: Ground, size: Size, redis: Redis, folder: Path) -> None:
    say(f"{size.rows:,} rows, {size.stored:,} people who opted out")
    prepare(here, size, folder)
    size_in_bytes = (folder / "list.csv").stat().st_size
    say(f"list {size_in_bytes // 1024**2:,} MiB, {size_in_bytes / size.rows:.0f} bytes a row")
    load_redis(redis, folder)
    with here.app.app_context():
        keys = services().keys
    found: dict[str, list[float]] = {}

    def note(name: str, take: Callable[[], float]) -> None:
        found.setdefault(name, []).append(take())
        say(f"  {name}: {found[name][-1]:,.0f}/s")

    memory = 0
    for _ in range(size.rounds):
        note("DuckDB reads and hashes", lambda: alone(folder, size))
        rate, memory = ours(here, folder, size)
        note("flask scrub", lambda rate=rate: rate)  # type: ignore[misc]
        note("Redis, look-ups alone", lambda: look_ups(redis, keys, folder, size))
        note("Redis, the whole job", lambda: job(redis, keys, folder, size))
    base, scrubbed, asked, done = (median(rates) for rates in found.values())
    say(
        f"flask scrub: {scrubbed:,.0f} rows/s, peak {memory:,} MiB (wanted: under 2,048);"
        f" {scrubbed / base:.0%} of DuckDB alone (wanted: 20%);"
        f" {scrubbed / done:.1f} times the job on Redis,"
        f" {scrubbed / asked:.1f} times its look-ups alone (wanted: 5)"
    )


def say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scrub", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--stored", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="the median counts (default: 3)")
    parser.add_argument("--asked", type=int, default=500_000, help="rows that Redis is asked about")
    given = parser.parse_args()
    size = Size(given.rows, given.stored, given.rounds, min(given.asked, given.rows))
    with ground.engines() as engines:
        measure(engines, size)


if __name__ == "__main__":
    main()
