"""What the console's pages take on the server, with many suppressions and deliveries stored."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from uuid import UUID, uuid4

import psycopg

from bench import decisions
from bench.ground import TOPIC, Ground, add_destinations
from preference_center.app.console import CONSOLE_PAGES
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import ALL_MARKETING, Change, EventKind
from preference_center.core.staff import Role
from preference_center.infra.context import services
from preference_center.ledger import record
from preference_center.web.console.frame import Access, Route
from tests.rights.console.asking import ask
from tests.web.console.staff import HOST, Staff, staff

LIMIT = 300.0
"""Milliseconds of server time that a page may take."""
PER_MINUTE = 10_000
BUSY = 10_000
"""Events of one person, and as many deliveries."""

_PERSON = "busy@example.com"
_SETTLED = """INSERT INTO sync_state (destination_id, address_id, wanted_version,
    reflected_version, outcome)
SELECT %(destination)s, id, id, id, 'reflected' FROM address"""
_PENDING = """UPDATE sync_state SET reflected_version = 0, due_at = %(now)s + interval '60 hours',
    next_at = %(now)s
WHERE destination_id = %(destination)s AND address_id %% 1000 = 0"""
_DELIVERED = """INSERT INTO delivery (destination_id, address_id, version, outcome, note, at)
SELECT %(destination)s, n, n, 'reflected', '', %(now)s - n * interval '1 minute' / %(per_minute)s
FROM generate_series(1, %(count)s::bigint) AS n"""
_AUDITED = """INSERT INTO audit (at, actor, action, detail)
SELECT %(now)s - n * interval '1 minute', 'console:grace', 'person.viewed', '{}'
FROM generate_series(1, 100000) AS n"""
_BUSY = (
    """INSERT INTO event (id, address_id, kind, scope, occurred_at, received_at, recorded_at,
        counts_at, source, actor, own)
    SELECT gen_random_uuid(), %(address)s, 'opted_out', %(topic)s, at, at, at, at, 'bench', 'bench',
        false
    FROM (SELECT %(now)s - n * interval '1 minute' AS at
        FROM generate_series(1, %(count)s) AS n) AS given""",
    """INSERT INTO event_evidence SELECT id, '{"via": "phone"}' FROM event e
    WHERE address_id = %(address)s AND NOT EXISTS (SELECT FROM event_evidence WHERE event_id = e.id)
    """,
    """INSERT INTO delivery (destination_id, address_id, version, outcome, note, at)
    SELECT %(destination)s, address_id, seq, 'reflected', '', recorded_at FROM event
    WHERE address_id = %(address)s""",
    """INSERT INTO delivery_ack SELECT id, '200' FROM delivery WHERE address_id = %(address)s""",
)


@dataclass(frozen=True, slots=True)
class PageTime:
    """Milliseconds of one page; `status` is 404 where the measurement has none of its kind."""

    rule: str
    status: int
    median: float
    longest: float


def fill(ground: Ground, stored: int, delivered: int, busy: int) -> None:
    """Store suppressions, their sync states at one tool, deliveries, and a person with many."""
    decisions.fill(ground, stored)
    with ground.app.app_context():
        destination, *_ = add_destinations(5)
    now = datetime.now(UTC)
    given = {
        "destination": destination,
        "now": now,
        "per_minute": PER_MINUTE,
        "count": delivered,
    }
    with psycopg.connect(ground.settings.database_url) as connection:
        connection.execute(
            "SELECT setval(pg_get_serial_sequence('address', 'id'), (SELECT max(id) FROM address))"
        )
        for statement in (_SETTLED, _PENDING, _DELIVERED, _AUDITED):
            connection.execute(statement, given)
    with ground.app.app_context():
        _fill_busy_person(ground, destination, busy, now)
    ground.vacuum()


def _fill_busy_person(ground: Ground, destination: int, count: int, now: datetime) -> None:
    address = parse_address(_PERSON, Channel.EMAIL)
    before = now - timedelta(days=30)
    evidence = {"via": "phone"}
    record(
        [
            Change(
                uuid4(),
                EventKind.OPTED_OUT,
                address,
                ALL_MARKETING,
                before,
                before,
                "bench",
                "bench",
                evidence,
            )
        ]
    )
    digest = services().keys.exact_digest(address)
    with psycopg.connect(ground.settings.database_url) as connection:
        row = connection.execute("SELECT id FROM address WHERE digest = %s", (digest,)).fetchone()
        assert row
        given = {
            "address": row[0],
            "destination": destination,
            "topic": TOPIC,
            "now": now,
            "count": count,
        }
        for statement in _BUSY:
            connection.execute(statement, given)


def measure(ground: Ground, rounds: int) -> list[PageTime]:
    """Ask for every page that needs somebody signed in, as somebody who may open all of them."""
    who = staff(ground.app, *Role)
    found = who.post("/console/people", who=_PERSON, reason="investigation")
    known: dict[str, str | int] = {
        "access_id": found.headers["Location"].rpartition("/")[2],
        "request_id": str(ask(ground.app).id),
        "name": "tool-0",
        "number": 1,
        "account_id": 1,
    }
    return [_measure(who, rule, path, rounds) for rule, path in _pages(ground, known)]


def _pages(ground: Ground, known: Mapping[str, str | int]) -> Iterator[tuple[str, str]]:
    for route in CONSOLE_PAGES:
        if "GET" in route.methods and route.access is not Access.ANYONE:
            yield from _paths(ground, route, known)


def _paths(
    ground: Ground, route: Route, known: Mapping[str, str | int]
) -> Iterator[tuple[str, str]]:
    """The path of a page; of a person's also with each filter."""
    rules = ground.app.url_map.iter_rules(f"console.{route.endpoint}")
    rule = next(each for each in rules if each.rule == f"/console{route.rule}")
    values = {name: known.get(name, UUID(int=0)) for name in rule.arguments}
    path = ground.app.url_map.bind(HOST).build(rule.endpoint, values)
    yield route.rule, path
    if route.endpoint == "person":
        for query in ("?tool=tool-0", f"?topic={TOPIC}", "?day=2026-01-01"):
            yield route.rule + query.partition("=")[0], path + query


def _measure(who: Staff, rule: str, path: str, rounds: int) -> PageTime:
    status = who.get(path).status_code  # whatever a first request costs
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        who.get(path)
        times.append((time.perf_counter() - begin) * 1000)
    return PageTime(rule, status, median(times), max(times))
