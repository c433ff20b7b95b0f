"""Senders have API keys: 256 random bits, of which only the SHA-256 is stored.

A plain hash is enough for a random key, and allows one indexed look-up. The look-up has no
timing leak: how far a stored hash agrees with that of a guess reveals nothing about the key.

Counts per day say what keys are used for. A request counts in memory and writes nothing; a thread
stores what was counted every STORE_INTERVAL, and once more as the process ends. Only a process that
is killed loses counts.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from multiprocessing.util import Finalize

import structlog
from flask import Flask, current_app
from psycopg import errors

from preference_center.catalogue.apply import SenderKey
from preference_center.core.errors import InvalidInput, Unavailable
from preference_center.core.occurrences import Occurrence
from preference_center.infra import occurrences
from preference_center.infra.db.transactions import Connection, run_autocommit

ALL_MESSAGE_TYPES = "*"
"""Stands for every message type of the catalogue, also future ones."""


_NAME_FORMAT = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


_KEY_FORMAT = re.compile(r"pc_[a-z0-9-]{1,40}_[A-Za-z0-9_-]{43}")


_COLUMNS = "name, scopes, message_types, created_at, revoked_at, rate, last_used_at"


_CACHE = "preference_center.api_keys"


_CACHE_SECONDS = 2.0
"""Seconds until a process notices that a key was revoked."""


class KeyScope(StrEnum):
    """A permission of a key."""

    CHECK = "check"
    """Request decisions."""
    CATALOGUE = "catalogue"
    """Read the catalogue, which says nothing about any person."""
    READ = "read"
    """List suppressions and contacts with their addresses, and follow changes."""
    WRITE = "write"
    """Record opt-outs and consents."""
    LIFT = "lift"
    """Record a person's own newer opt-in, which lifts older opt-outs (I5)."""
    RIGHTS = "rights"
    """Act on the rights of data subjects: restrict, erase, and handle their requests."""
    LINKS = "links"
    """Create signed links."""
    PORTAL = "portal"
    """Read and change the preferences of a person who is signed in with the company."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One sender's key, without its secret."""

    name: str
    scopes: frozenset[str]
    message_types: frozenset[str]
    created_at: datetime
    revoked_at: datetime | None = None
    rate: str | None = None
    """Its rate limit, if it differs from API_RATE."""
    last_used_at: datetime | None = None
    """Known STORE_INTERVAL after the use, at the latest."""

    @property
    def actor(self) -> str:
        """Its name in events and in the audit."""
        return f"key:{self.name}"

    def may_check(self, message_type: str) -> bool:
        """Whether it may request decisions about this message type (I4)."""
        return message_type in self.message_types or ALL_MESSAGE_TYPES in self.message_types


def create_key(
    connection: Connection,
    name: str,
    scopes: Collection[KeyScope],
    message_types: Collection[str],
    now: datetime,
    rate: str | None = None,
) -> str:
    """Store a new key and return its text, which can't be shown again.

    `rate` as `infra.redis.parse_rate` returns it. Raises InvalidInput if the name is invalid
    or in use, also by a revoked key: events refer to keys by name, so names are never reused.
    """
    if not _NAME_FORMAT.fullmatch(name):
        raise InvalidInput("a key's name has 1 to 40 of a-z, 0-9 and -, and begins with no dash")
    text = f"pc_{name}_{secrets.token_urlsafe(32)}"
    try:
        connection.execute(
            "INSERT INTO api_key (name, digest, scopes, message_types, created_at, rate)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            (name, _digest(text), sorted(set(scopes)), sorted(set(message_types)), now, rate),
        )
    except errors.UniqueViolation:
        raise InvalidInput(f"there is a key named {name} already: choose another name") from None
    return text


def find_key(text: str) -> ApiKey | None:
    """The key with this text, unless unknown or revoked.

    Results are cached for two seconds, so that a burst of requests costs one look-up; a
    revocation takes effect everywhere after that. That a revoked key is still used is noted.
    """
    if not _KEY_FORMAT.fullmatch(text):
        return None
    digest = _digest(text)
    cache: dict[bytes, tuple[float, ApiKey]] = current_app.extensions.setdefault(_CACHE, {})
    cached = cache.get(digest)
    if cached and time.monotonic() < cached[0]:
        return cached[1]
    key = run_autocommit(
        lambda connection: next(_select(connection, "WHERE digest = %s", digest), None)
    )
    if key is None or key.revoked_at is not None:
        cache.pop(digest, None)
        if key is not None:
            occurrences.note(Occurrence.KEY_REFUSED, key.name)
        return None
    cache[digest] = (time.monotonic() + _CACHE_SECONDS, key)
    return key


def is_cached(text: str) -> bool:
    """Whether this process has found the key with this text before; it may be revoked since."""
    cache: dict[bytes, object] = current_app.extensions.get(_CACHE, {})
    return bool(_KEY_FORMAT.fullmatch(text)) and _digest(text) in cache


def revoke_key(connection: Connection, name: str, now: datetime) -> bool:
    """Revoke a key; False if it was revoked before. Raises InvalidInput if there is none."""
    row = connection.execute(
        "UPDATE api_key SET revoked_at = %s WHERE name = %s AND revoked_at IS NULL RETURNING id",
        (now, name),
    ).fetchone()
    if row:
        clear_key_cache()
        return True
    get_key(connection, name)
    return False


def get_key(connection: Connection, name: str) -> ApiKey:
    """The key of this name, also a revoked one. Raises InvalidInput if there is none."""
    key = next(_select(connection, "WHERE name = %s", name), None)
    if key is None:
        raise InvalidInput(f"there is no key named {name}: `flask keys list` shows them all")
    return key


def list_keys(connection: Connection) -> list[ApiKey]:
    """All keys by name, revoked ones too."""
    return [*_select(connection, "ORDER BY name")]


def list_asking_keys(connection: Connection) -> list[SenderKey]:
    """Those with which decisions are asked for, by name; without revoked ones."""
    return [
        SenderKey(
            key.name,
            None if ALL_MESSAGE_TYPES in key.message_types else key.message_types,
            key.last_used_at,
        )
        for key in list_keys(connection)
        if key.revoked_at is None and KeyScope.CHECK in key.scopes
    ]


def clear_key_cache() -> None:
    """Clear this process's cache of keys."""
    current_app.extensions.pop(_CACHE, None)


def _select(connection: Connection, condition: str, *given: object) -> Iterator[ApiKey]:
    query = f"SELECT {_COLUMNS} FROM api_key {condition}"  # noqa: S608 - of this module
    for name, scopes, message_types, *others in connection.execute(query.encode(), given):
        yield ApiKey(name, frozenset(scopes), frozenset(message_types), *others)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("ascii")).digest()


log = structlog.get_logger()


STORE_INTERVAL = 20.0
"""Seconds between two times at which a process stores what it has counted."""


USAGE_RETENTION = timedelta(days=35)


EXTENSION_KEY = "preference_center.key_usage"


class KeyUse(StrEnum):
    """What is counted, by the name of its column."""

    REQUESTS = "requests"
    DECISIONS = "decisions"
    DENIED = "denied"
    """Decisions that say "do not send"."""
    REFUSED = "refused"
    """Requests of a key that lacks the scope or the message type."""
    LIMITED = "limited"
    """Requests above the rate of the key."""
    READ = "rows_read"
    """Suppressions, changes and requests of data subjects in the pages that it was answered."""


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """The counts of one key on one day (UTC)."""

    name: str
    day: date
    requests: int = 0
    decisions: int = 0
    denied: int = 0
    refused: int = 0
    limited: int = 0
    rows_read: int = 0


class KeyUsageCounter:
    """Counts of one process. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, date], Counter[KeyUse]] = {}
        self._used: dict[tuple[str, date], datetime] = {}

    def add(self, name: str, now: datetime, counts: Mapping[KeyUse, int]) -> None:
        """Count for the key of this name, in memory."""
        row = name, now.date()
        with self._lock:
            self._counts.setdefault(row, Counter()).update(counts)
            self._used[row] = max(now, self._used.get(row, now))

    def store(self) -> None:
        """Store what was counted since the last time; while the database is away, it is kept."""
        with self._lock:
            counts, self._counts = self._counts, {}
            used, self._used = self._used, {}
        if not counts:
            return
        try:
            run_autocommit(lambda connection: _store(connection, counts, used))
        except Unavailable:
            for row, counted in counts.items():
                self.add(row[0], used[row], counted)


def count_key_use(name: str, now: datetime, **counts: int) -> None:
    """Count for a key: `count_key_use("shop", now, decisions=10, denied=2)`."""
    _counter().add(name, now, {KeyUse(use): count for use, count in counts.items() if count})


def store_key_use() -> None:
    """Store what this process has counted, unless the database is away."""
    _counter().store()


def start_storing_key_use(app: Flask) -> Finalize:
    """Store what this process counts, by a thread and as the process ends.

    To call what is returned ends both, after a last time.
    """
    stop = threading.Event()

    def store() -> None:
        with app.app_context():
            try:
                store_key_use()
            except Exception as error:  # noqa: BLE001 - no other thread would store
                log.error("key_use_not_stored", error=type(error).__name__)  # noqa: TRY400 - may quote a row

    def run() -> None:
        while not stop.wait(STORE_INTERVAL):
            store()

    def end() -> None:
        stop.set()
        store()

    threading.Thread(target=run, name="key-use", daemon=True).start()
    return Finalize(
        None, end, exitpriority=0
    )  # `multiprocessing` runs no `atexit` in its processes


def _counter() -> KeyUsageCounter:
    counter: KeyUsageCounter = current_app.extensions.setdefault(EXTENSION_KEY, KeyUsageCounter())
    return counter


def _store(
    connection: Connection,
    counted: Mapping[tuple[str, date], Counter[KeyUse]],
    used: Mapping[tuple[str, date], datetime],
) -> None:
    rows = sorted(counted)  # in the same order in every process, so that none waits in a circle
    connection.execute(
        """WITH used AS (
            UPDATE api_key SET last_used_at = GREATEST(last_used_at, last.at)
            FROM (SELECT name, max(at) AS at
                FROM unnest(%(names)s::text[], %(used)s::timestamptz[]) AS given (name, at)
                GROUP BY name) AS last
            WHERE api_key.name = last.name
        )
        INSERT INTO key_usage AS u
            (name, day, requests, decisions, denied, refused, limited, rows_read)
        SELECT * FROM unnest(%(names)s::text[], %(days)s::date[], %(requests)s::bigint[],
            %(decisions)s::bigint[], %(denied)s::bigint[], %(refused)s::bigint[],
            %(limited)s::bigint[], %(rows_read)s::bigint[])
        ON CONFLICT (name, day) DO UPDATE SET requests = u.requests + EXCLUDED.requests,
            decisions = u.decisions + EXCLUDED.decisions, denied = u.denied + EXCLUDED.denied,
            refused = u.refused + EXCLUDED.refused, limited = u.limited + EXCLUDED.limited,
            rows_read = u.rows_read + EXCLUDED.rows_read""",
        {
            "names": [name for name, _ in rows],
            "days": [day for _, day in rows],
            "used": [used[row] for row in rows],
            **{use.value: [counted[row][use] for row in rows] for use in KeyUse},
        },
    )


def list_usage(connection: Connection, since: date) -> list[KeyUsage]:
    """The counts of every key from that day on, summed up per key; by name."""
    rows = connection.execute(
        """SELECT name, max(day), sum(requests)::bigint, sum(decisions)::bigint,
            sum(denied)::bigint, sum(refused)::bigint, sum(limited)::bigint,
            sum(rows_read)::bigint
        FROM key_usage WHERE day >= %s GROUP BY name ORDER BY name""",
        (since,),
    )
    return [KeyUsage(*row) for row in rows]


def list_daily_usage(connection: Connection, name: str, since: date) -> list[KeyUsage]:
    """The counts of one key per day from that day on, the newest first."""
    rows = connection.execute(
        """SELECT name, day, requests, decisions, denied, refused, limited, rows_read
        FROM key_usage WHERE name = %s AND day >= %s ORDER BY day DESC""",
        (name, since),
    )
    return [KeyUsage(*row) for row in rows]


def delete_old_usage(connection: Connection, now: datetime) -> int:
    """Delete the counts of days that are over for longer than USAGE_RETENTION; how many."""
    return connection.execute(
        "DELETE FROM key_usage WHERE day < %s", ((now - USAGE_RETENTION).date(),)
    ).rowcount
