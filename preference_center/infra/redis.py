"""Redis or Valkey keeps the queue and counts rate limits; this module connects to it.

The server is a single one, with or without TLS, or the master by Sentinel. RQ's keys lie in any
slot of a cluster, and its transactions span several, which a cluster refuses: so a cluster is
refused, too (docs/decisions/0085).

Rate limits are counted in Redis for all processes together. While Redis is unavailable each
process counts for itself: the limits are looser, but all operations continue.

`acl_rule` states what the user of REDIS_URL needs, and no more: the keys of the queue and of rate
limits.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import redis
import structlog
from limits import RateLimitItem, parse, parse_many
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis import RedisError
from redis.sentinel import Sentinel

from preference_center.core.errors import ConfigError, InvalidInput

_PLAIN_SCHEMES = frozenset({"redis", "rediss", "unix"})


_SENTINEL_SCHEMES = {"redis+sentinel": False, "rediss+sentinel": True}
"""Whether they use TLS, to the sentinels as to the master."""


_SENTINEL_PORT = 26379


_ACL_IN_SCRIPT = "ACL failure in script"


_FORM = (
    "REDIS_URL: write it as redis://:password@host:port/0, rediss:// for TLS, or"
    " redis+sentinel://:password@host:26379,host:26379/service/0, special characters"
    " percent-encoded"
)


@dataclass(frozen=True, slots=True)
class _SentinelUrl:
    sentinels: tuple[tuple[str, int], ...]
    service: str
    common: dict[str, Any]
    """What holds for the sentinels as for the master: TLS."""
    master: dict[str, Any]
    sentinel: dict[str, Any]


def connect_redis(redis_url: str, *, timeout: float | None = None) -> redis.Redis:
    """A client. `timeout` in seconds, for connecting and for each response. Raises ConfigError.

    No connection is made before the first command. With Sentinel each new connection asks for the
    master, so a failover is followed.
    """
    timeouts: dict[str, Any] = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
    if _scheme_of(redis_url) not in _SENTINEL_SCHEMES:
        return _connect_plain(redis_url, timeouts)
    parsed = _parse_sentinel_url(redis_url)
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        list(parsed.sentinels),
        sentinel_kwargs={**parsed.common, **parsed.sentinel, **timeouts},
        **parsed.common,
        **parsed.master,
        **timeouts,
    )
    client: redis.Redis = sentinel.master_for(parsed.service)  # type: ignore[no-untyped-call]
    return client


def error_fields(error: redis.RedisError) -> dict[str, str]:
    """What to log of an error: its type, and what a rule of the server's ACL refused.

    The server names the user and the command, or that it was a key or a channel, and no argument
    (I12).
    """
    fields = {"error": type(error).__name__}
    is_refusal = isinstance(error, redis.exceptions.NoPermissionError)
    return (
        fields | {"refused": str(error)} if is_refusal or _ACL_IN_SCRIPT in str(error) else fields
    )


def validate_redis_url(redis_url: str) -> str:
    """`redis_url` itself. Raises ConfigError, which does not hold it: it may have a password."""
    connect_redis(redis_url).close()
    return redis_url


def require_no_cluster(connection: redis.Redis) -> None:
    """Raise ConfigError if the server is a node of a cluster, and RedisError if it is away."""
    if connection.info("cluster").get("cluster_enabled"):
        raise ConfigError(
            "REDIS_URL names a node of a cluster, which refuses RQ's transactions. Name a server"
            " without cluster mode (it may have replicas), or Sentinel."
        )


def _connect_plain(redis_url: str, timeouts: Mapping[str, Any]) -> redis.Redis:
    if _scheme_of(redis_url) not in _PLAIN_SCHEMES:
        raise ConfigError(_FORM)
    try:
        return redis.Redis.from_url(redis_url, **timeouts)
    except ValueError:  # a port or an option that is no number
        raise ConfigError(_FORM) from None


def _scheme_of(redis_url: str) -> str:
    return redis_url.partition("://")[0].lower()


def _parse_sentinel_url(redis_url: str) -> _SentinelUrl:
    """Not by `urlsplit`, which takes several hosts for one, and a bracket among them for an error.

    Raises ConfigError.
    """
    where, _, options = redis_url.partition("://")[2].partition("?")
    place, _, path = where.partition("/")
    account, _, hosts = place.rpartition("@")
    username, _, password = account.partition(":")
    service, _, database = path.strip("/").partition("/")
    query = dict(parse_qsl(options))
    sentinel = {
        name: query.pop(f"sentinel_{name}")
        for name in ("username", "password")
        if f"sentinel_{name}" in query
    }
    if not service or not (database or "0").isdigit():
        raise ConfigError(_FORM)
    common: dict[str, Any] = (
        {"ssl": True, **query} if _SENTINEL_SCHEMES[_scheme_of(redis_url)] else query
    )
    return _SentinelUrl(
        tuple(_parse_host(host) for host in hosts.split(",")),
        service,
        common,
        {
            "db": int(database or 0),
            "username": unquote(username) or None,
            "password": unquote(password) or None,
        },
        sentinel,
    )


def _parse_host(text: str) -> tuple[str, int]:
    """A host and its port; an IPv6 address in brackets."""
    try:
        parts = urlsplit(f"//{text}")
        port = parts.port or _SENTINEL_PORT
    except ValueError:
        raise ConfigError(_FORM) from None
    if not parts.hostname:
        raise ConfigError(_FORM)
    return parts.hostname, port


log = structlog.get_logger()


T = TypeVar("T")


REDIS_TIMEOUT_SECONDS = 0.05


BREAKER_SECONDS = 5.0
"""The timeout of Redis, and how long it is not used after a failure."""


MAX_BATCHES = 10_000
"""Batches kept before expired ones are dropped; limits memory, since clients determine keys."""


BATCHES_PER_WINDOW = 100
"""A process claims this fraction of a rate from Redis at a time."""


UNLIMITED = "none"


@dataclass(frozen=True, slots=True)
class RequestRate:
    """`limit` operations per window."""

    limit: int
    window_seconds: int


@dataclass(frozen=True, slots=True)
class RateLimitStatus:
    """Whether one more operation is within its rate."""

    allowed: bool
    rate: RequestRate
    remaining: int
    """Operations left in this window, as far as this process knows."""
    reset_seconds: int
    """Seconds until the window ends."""


@dataclass(slots=True)
class _TokenBatch:
    """The operations that this process may do until the window ends, by its monotonic clock."""

    ends_at: float = 0.0
    local_remaining: int = 0
    shared_remaining: int = 0
    """Left for all processes when the batch was claimed."""


class RedisRateLimiter:
    """Counts operations per key. Thread-safe.

    Keys must not contain personal data (I12). No method raises an error of Redis.
    """

    def __init__(self, redis_url: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        client = connect_redis(redis_url, timeout=REDIS_TIMEOUT_SECONDS)
        self._redis = RedisStorage("redis://", connection_pool=client.connection_pool)
        self._shared = MovingWindowRateLimiter(self._redis)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Drop the counts of this process, and use Redis again."""
        self._memory = MemoryStorage()
        self._local = MovingWindowRateLimiter(self._memory)
        self._batches: dict[tuple[str, ...], _TokenBatch] = {}
        self._broken_until = 0.0

    def hit(self, limits: str, *key: str) -> bool:
        """Whether one more operation is within all of `limits` ("3 per hour; 10 per day").

        An allowed operation is counted, a rejected one is not. Windows are sliding: "3 per hour"
        means the hour before each operation, by the clock of the Redis client.
        """
        items = parse_many(limits)
        return self._with_redis(
            lambda: _hit(self._shared, items, key), lambda: _hit(self._local, items, key)
        )

    def allows(self, limits: str, *key: str) -> bool:
        """Whether `hit` would allow one more operation now; counts none."""
        items = parse_many(limits)
        return self._with_redis(
            lambda: _test(self._shared, items, key), lambda: _test(self._local, items, key)
        )

    def acquire(self, rate: str, *key: str) -> RateLimitStatus:
        """Count one more operation, and return whether it is within `rate` ("6000 per minute").

        For frequent operations: a process claims a hundredth of the rate from Redis at a time, and
        claims again when that is used up or the window is over. So all processes together never
        allow more, and what is unused when a window ends is lost. The window begins with the first
        operation.
        """
        item, known = _parse_item(rate)
        with self._lock:
            now = self._monotonic()
            batch = self._batches.get((rate, *key))
            if (
                batch is None
                or now >= batch.ends_at
                or (not batch.local_remaining and batch.shared_remaining)
            ):
                self._drop_expired(now)
                batch = self._batches[rate, *key] = self._fetch_batch(item, key, now)
            allowed = batch.local_remaining > 0
            batch.local_remaining -= allowed
            return RateLimitStatus(
                allowed,
                known,
                batch.local_remaining + batch.shared_remaining,
                math.ceil(batch.ends_at - now),
            )

    def is_exhausted(self, rate: str, *key: str) -> bool:
        """Whether `acquire` would reject now, as far as this process knows; counts nothing."""
        with self._lock:
            batch = self._batches.get((rate, *key))
            return (
                batch is not None
                and not batch.local_remaining + batch.shared_remaining
                and self._monotonic() < batch.ends_at
            )

    def increment(self, window: str, *key: str) -> int:
        """Count an operation, and return the count in this "hour", "day" or other window.

        The window begins with the first operation.
        """
        item = _parse_item(f"1 per {window}")[0]
        name, expiry = item.key_for("count", *key), item.get_expiry()
        return self._with_redis(
            lambda: int(self._redis.incr(name, expiry)), lambda: self._memory.incr(name, expiry)
        )

    def _drop_expired(self, now: float) -> None:
        if len(self._batches) >= MAX_BATCHES:
            self._batches = {
                key: batch for key, batch in self._batches.items() if now < batch.ends_at
            }

    def _fetch_batch(self, item: RateLimitItem, key: tuple[str, ...], now: float) -> _TokenBatch:
        def fetch(storage: RedisStorage | MemoryStorage) -> _TokenBatch:
            name, size = item.key_for(*key), max(1, item.amount // BATCHES_PER_WINDOW)
            left = item.amount - storage.incr(name, item.get_expiry(), size)
            # Redis returns whole seconds; with 0 we would query it for every operation.
            ends = now + max(1.0, storage.get_expiry(name) - time.time())
            return _TokenBatch(
                ends, local_remaining=max(0, size + min(0, left)), shared_remaining=max(0, left)
            )

        return self._with_redis(lambda: fetch(self._redis), lambda: fetch(self._memory))

    def _with_redis(self, shared: Callable[[], T], local: Callable[[], T]) -> T:
        if self._monotonic() >= self._broken_until:
            try:
                return shared()
            except RedisError as error:
                self._broken_until = self._monotonic() + BREAKER_SECONDS
                log.warning("redis_unavailable", **error_fields(error))
        return local()


def parse_rate(text: str) -> str:
    """A rate for `acquire` from user input, or UNLIMITED. Raises InvalidInput."""
    text = " ".join(text.split())
    try:
        valid = text == UNLIMITED or (";" not in text and parse(text).amount > 0)
    except ValueError:
        valid = False
    if not valid:
        raise InvalidInput("not a valid rate; use e.g. '6000 per minute', or none")
    return text


@cache
def _parse_item(rate: str) -> tuple[RateLimitItem, RequestRate]:
    item = parse(rate)
    return item, RequestRate(item.amount, item.get_expiry())


def _hit(
    strategy: MovingWindowRateLimiter, items: list[RateLimitItem], key: tuple[str, ...]
) -> bool:
    return _test(strategy, items, key) and all(strategy.hit(item, *key) for item in items)


def _test(
    strategy: MovingWindowRateLimiter, items: list[RateLimitItem], key: tuple[str, ...]
) -> bool:
    return all(strategy.test(item, *key) for item in items)


KEYS = ("rq:*", "LIMITS:*", "rate_limit:*")
"""The queue's (RQ), those of limits on requests (limits), and those of destinations' rates."""


CHANNELS = ("rq:pubsub:*",)
"""On which RQ sends commands to its workers."""


COMMANDS = (
    # Whatever is done with values of these kinds ends at the keys above.
    *("+@hash", "+@list", "+@set", "+@sortedset", "+@stream", "+@string"),
    *("+del", "+exists", "+expire", "+persist", "+pttl", "+rename", "+ttl", "+type"),
    *("+@transaction", "+eval", "+evalsha", "+script|load", "+time"),
    *("+publish", "+subscribe", "+unsubscribe"),
    *("+auth", "+client|setinfo", "+hello", "+ping", "+select"),
    "-@dangerous",
    "+info",  # the version and whether it is a cluster; a dangerous one
)


def acl_rule(user: str) -> str:
    """The command that gives `user` these rights, and takes away others; no password."""
    keys = (f"~{pattern}" for pattern in KEYS)
    channels = (f"&{pattern}" for pattern in CHANNELS)
    rules = ("resetkeys", *keys, "resetchannels", *channels, "-@all", *COMMANDS)
    return " ".join(("ACL SETUSER", user, *rules))
