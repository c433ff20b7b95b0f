"""The service as a company runs it: a database role and a Redis user with few rights."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
from redis import Redis

from tests.environment import make_managed_role, with_role

if TYPE_CHECKING:  # so that tests of the domain don't wait for Flask
    from preference_center.infra.config import Settings


def restrict(settings: Settings, server_url: str, name: str) -> Settings:
    """Settings for a role and a user `name`, which have what the service prints and no more.

    `settings` are those of the owner of the tables and of Redis's administrator, `server_url` is
    the superuser's.
    """
    from preference_center.infra.context import db
    from preference_center.infra.db.grants import grant_statements
    from preference_center.infra.redis import acl_rule

    make_managed_role(server_url, name)
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        for statement in grant_statements(name, db.metadata.sorted_tables):
            connection.execute(statement.encode())
    with Redis.from_url(settings.redis_url) as redis:
        redis.execute_command(*acl_rule(name).split())
        redis.execute_command("ACL", "SETUSER", name, "on", f">{name}")
    host = urlsplit(settings.redis_url).netloc.rpartition("@")[2]
    redis_url = urlsplit(settings.redis_url)._replace(netloc=f"{name}:{name}@{host}").geturl()
    database_url = with_role(settings.database_url, name)
    return settings.model_copy(update={"database_url": database_url, "redis_url": redis_url})


def refused_commands(redis_url: str) -> list[str]:
    """What the administrator of `redis_url` finds in the log of its ACL."""
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        return [f"{entry['reason']}: {entry['object']}" for entry in redis.acl_log()]
