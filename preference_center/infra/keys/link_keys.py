"""Senders' link keys, and from when on permanent links count."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from flask import current_app
from psycopg import errors

from preference_center.core.errors import InvalidInput, Unavailable
from preference_center.core.links.offline import MAX_KEY_ID, MAX_TOPICS
from preference_center.core.links.tokens import SenderKey
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit

T = TypeVar("T")

_NAME_FORMAT = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_COLUMNS = "id, name, ring_key, topics, created_at, revoked_at"
_CACHE = "preference_center.links"
_CACHE_SECONDS = 2.0
"""Seconds until a process notices that something was revoked."""


class DatabaseLinkRegistry:
    """What `Links` looks up in the database. Results are cached for two seconds.

    While the database is down a cached result is used however old it is: an opt-out must be
    accepted then, too, and a revoked link may still opt out.
    """

    def find_sender(self, key_id: int) -> SenderKey | None:
        """The link key of this id, revoked or not."""
        return _load_cached(
            ("sender", key_id), lambda connection: _find_link_key(connection, key_id)
        )

    def permanent_links_since(self, destination: int) -> datetime | None:
        """From when on permanent links of a destination count; None if they were never enabled."""
        return _load_cached(
            ("permanent_links", destination),
            lambda connection: load_permanent_links_since(connection, destination),
        )

    def exact_digest(self, sha256: bytes) -> bytes:
        """The exact digest of an address, from the SHA-256 of its canonical form."""
        return services().keys.digest_sha256(sha256)


def create_link_key(
    connection: Connection, name: str, ring_key: str, topics: Sequence[str], now: datetime
) -> SenderKey:
    """Store a new link key; `topics` in the order in which tokens number them.

    Raises InvalidInput if the name is invalid or in use, also by a revoked key: its links still
    exist.
    """
    if not _NAME_FORMAT.fullmatch(name):
        raise InvalidInput("a key's name has 1 to 40 of a-z, 0-9 and -, and begins with no dash")
    if not 1 <= len(topics) <= MAX_TOPICS:
        raise InvalidInput(f"a link key is for 1 to {MAX_TOPICS} topics")
    try:
        row = connection.execute(
            f"""INSERT INTO link_key (name, ring_key, topics, created_at) VALUES (%s, %s, %s, %s)
            RETURNING {_COLUMNS}""",  # noqa: S608 - constants of this module
            (name, ring_key, list(topics), now),
        ).fetchone()
    except errors.UniqueViolation:
        taken = f"there is a link key named {name} already: choose another name"
        raise InvalidInput(taken) from None
    assert row
    key = _to_sender_key(row)
    if key.id > MAX_KEY_ID:
        raise InvalidInput(
            f"there have been {MAX_KEY_ID:,} link keys, tokens have no space for more"
        )
    return key


def revoke_link_key(connection: Connection, name: str, now: datetime) -> bool:
    """End a link key; False if it was revoked before. Raises InvalidInput if there is none."""
    row = connection.execute(
        "UPDATE link_key SET revoked_at = %s WHERE name = %s AND revoked_at IS NULL RETURNING id",
        (now, name),
    ).fetchone()
    if row:
        clear_link_cache()
        return True
    if not connection.execute("SELECT 1 FROM link_key WHERE name = %s", (name,)).fetchone():
        raise InvalidInput(f"there is no link key named {name}: `flask keys link-keys` shows all")
    return False


def list_link_keys(connection: Connection) -> list[SenderKey]:
    """All link keys by name, revoked ones too."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM link_key ORDER BY name")  # noqa: S608 - constants of this module
    return [_to_sender_key(row) for row in rows]


def load_permanent_links_since(connection: Connection, destination: int) -> datetime | None:
    """From when on permanent links of a destination count; None if they were never enabled."""
    row = connection.execute(
        "SELECT since FROM permanent_links WHERE destination_id = %s", (destination,)
    ).fetchone()
    return row[0] if row else None


def enable_permanent_links(connection: Connection, destination: int, now: datetime) -> datetime:
    """Enable permanent links from now on, unless they are; returns from when on they count."""
    connection.execute(
        """INSERT INTO permanent_links (destination_id, since) VALUES (%s, %s)
        ON CONFLICT (destination_id) DO NOTHING""",
        (destination, now.replace(microsecond=0)),
    )
    found = load_permanent_links_since(connection, destination)
    assert found
    return found


def revoke_permanent_links(connection: Connection, destination: int, now: datetime) -> bool:
    """Revoke all permanent links of a destination so far; False if none was ever enabled.

    Links contain whole seconds, so the new start is at least one second after the last one.
    """
    row = connection.execute(
        """UPDATE permanent_links SET since = GREATEST(%s, since + %s)
        WHERE destination_id = %s RETURNING since""",
        (now.replace(microsecond=0), timedelta(seconds=1), destination),
    ).fetchone()
    clear_link_cache()
    return row is not None


def cache_senders() -> list[SenderKey]:
    """Cache every sender's key, for an outage of the database."""
    cache = current_app.extensions.setdefault(_CACHE, {})
    until = time.monotonic() + _CACHE_SECONDS
    keys = run_autocommit(list_link_keys)
    for key in keys:
        cache["sender", key.id] = (until, key)
    return keys


def seed_sender_cache(keys: Sequence[SenderKey]) -> None:
    """Put these keys into the cache during an outage; they are looked up again after it."""
    cache = current_app.extensions.setdefault(_CACHE, {})
    for key in keys:
        cache.setdefault(("sender", key.id), (time.monotonic(), key))


def clear_link_cache() -> None:
    """Clear this process's cache of links."""
    current_app.extensions.pop(_CACHE, None)


def _load_cached(cache_key: tuple[str, int], look_up: Callable[[Connection], T | None]) -> T | None:
    cache = current_app.extensions.setdefault(_CACHE, {})
    cached: tuple[float, T] | None = cache.get(cache_key)
    if cached and time.monotonic() < cached[0]:
        return cached[1]
    try:
        found = run_autocommit(look_up)
    except Unavailable:
        if cached is None:
            raise
        return cached[1]
    if found is None:  # not cached: anybody can make up ids
        cache.pop(cache_key, None)
    else:
        cache[cache_key] = (time.monotonic() + _CACHE_SECONDS, found)
    return found


def _find_link_key(connection: Connection, key_id: int) -> SenderKey | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM link_key WHERE id = %s",  # noqa: S608 - constants of this module
        (key_id,),
    ).fetchone()
    return _to_sender_key(row) if row else None


def _to_sender_key(row: tuple[int, str, str, list[str], datetime, datetime | None]) -> SenderKey:
    number, name, ring_key, topics, created_at, revoked_at = row
    return SenderKey(number, name, ring_key, tuple(topics), created_at, revoked_at)
