"""Connections to Redis or Valkey: one server, with or without TLS, or the master by Sentinel.

RQ's keys lie in any slot of a cluster, and its transactions span several, which a cluster refuses:
so a cluster is refused, too (docs/decisions/0085).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import redis
from redis.sentinel import Sentinel

from preference_center.core.errors import ConfigError

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
