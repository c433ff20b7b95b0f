"""`create_service` builds the context of commands and workers, without what serves requests."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from flask import Flask

from preference_center.core.events import uuid7
from preference_center.core.key_rings import parse_link_ring, parse_ring
from preference_center.core.keys import Keys
from preference_center.core.links import Links
from preference_center.infra import commands, hooks
from preference_center.infra.config import Settings, load_settings
from preference_center.infra.context import (
    EXTENSION_NAME,
    Services,
    db,
)
from preference_center.infra.db.clock import DatabaseClock
from preference_center.infra.db.connections import (
    WEB_TIMEOUTS,
    DatabaseTimeouts,
    DeadlineConnection,
    application_name,
    connection_factory,
    follow_on_connect,
    with_defaults,
)
from preference_center.infra.db.transactions import REPLICA
from preference_center.infra.files import ROOT
from preference_center.infra.keys.link_keys import DatabaseLinkRegistry
from preference_center.infra.telemetry import configure_logs
from preference_center.integrations.registry import load_integrations
from preference_center.web import languages
from preference_center.web.pages.rendering import count_link_key_problem, default_wording

if TYPE_CHECKING:
    from preference_center.infra.job_queue import JobQueue
    from preference_center.infra.redis import RedisRateLimiter

_DRIVER_URL = "postgresql+psycopg://"  # the factory of connections has the rest
POOL_RECYCLE_SECONDS = 3600
"""After which a connection is replaced, so that the clock looks at the server."""
POOL_TIMEOUT_SECONDS = 2
"""How long a thread waits for a database connection while all are in use."""


HOOKS = "preference_center.app.hooks:register"
"""The function that registers what earlier subjects call in later ones."""


def create_service(
    settings: Settings | None = None,
    *,
    now: Callable[[], datetime] | None = None,
    random: Random | None = None,
    timeouts: DatabaseTimeouts = WEB_TIMEOUTS,
) -> Flask:
    """The context of commands and workers: it answers no request.

    `now` is the time of the database unless it is given. Raises ConfigError when a setting is
    missing or wrong, and for an integration of another package that can't be loaded.
    """
    app = Flask(
        "preference_center",
        root_path=ROOT_PATH,
        template_folder=TEMPLATES,
        static_folder=STATIC,
    )
    configure(app, settings or load_settings(), now=now, random=random, timeouts=timeouts)
    return app


ROOT_PATH, TEMPLATES, STATIC = str(Path(__file__).parents[1]), str(ROOT / "templates"), "web/static"
"""Where an application finds its files."""


def configure(
    app: Flask,
    settings: Settings,
    *,
    now: Callable[[], datetime] | None,
    random: Random | None,
    timeouts: DatabaseTimeouts,
) -> None:
    """Give an application its settings, its services and the hooks. Raises ConfigError."""
    load_integrations()
    configure_logs()
    keys = Keys(parse_ring(settings.digest_keys), parse_ring(settings.encryption_keys))
    clock = now if isinstance(now, DatabaseClock) else DatabaseClock()

    def on_connect(connection: DeadlineConnection) -> None:
        follow_on_connect(connection, keys)
        clock.look(connection)

    app.config.update(
        SECRET_KEY=settings.secret_key,
        MAX_CONTENT_LENGTH=settings.max_body_bytes,
        SQLALCHEMY_DATABASE_URI=_DRIVER_URL,
        SQLALCHEMY_ENGINE_OPTIONS=_pool_options(
            settings, timeouts, settings.conninfo, keys, on_connect
        ),
        SQLALCHEMY_BINDS=_replica_binds(settings, keys, timeouts),
        SESSION_COOKIE_SECURE=settings.public_url.startswith("https://"),
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,  # the console's sessions end; pages have limits of their own
    )
    db.init_app(app)
    languages.init_app(app, default_wording, settings.time_zone)
    random = random or Random(secrets.randbits(64))  # noqa: S311 - spreads retries, no secret
    app.extensions[EXTENSION_NAME] = _build_services(settings, keys, now or clock, random, timeouts)
    hooks.register_at_first_call(app, HOOKS)
    commands.register(app)


def _pool_options(
    settings: Settings,
    timeouts: DatabaseTimeouts,
    conninfo: str,
    keys: Keys,
    on_connect: Callable[[DeadlineConnection], None],
) -> dict[str, object]:
    """The options of the pool of connections to one server."""
    return {
        "pool_size": settings.database_pool,
        "max_overflow": settings.database_pool,
        "pool_timeout": POOL_TIMEOUT_SECONDS,
        "pool_reset_on_return": None,
        "pool_recycle": POOL_RECYCLE_SECONDS,
        "creator": connection_factory(
            conninfo,
            timeouts,
            on_connect,
            application_name(keys),
            is_pooled=settings.database_pooler == "transaction",
        ),
    }


def _replica_binds(
    settings: Settings, keys: Keys, timeouts: DatabaseTimeouts
) -> dict[str, dict[str, object]]:
    """The replica's engine, if there is one; it takes no writes.

    It may lag behind the primary, so it does not state which digest keys are in use.
    """
    if settings.replica_conninfo is None:
        return {}
    conninfo = with_defaults(settings.replica_conninfo, target_session_attrs="any")
    options = _pool_options(settings, timeouts, conninfo, keys, lambda _: None)
    return {REPLICA: {"url": _DRIVER_URL, **options}}


def _look_up_txt(name: bytes, timeout: float = 5) -> bytes | None:
    from dkim.dnsplug import get_txt  # noqa: PLC0415 - its resolver takes memory in every process

    found: bytes | None = get_txt(name, timeout)
    return found


def _build_services(
    settings: Settings,
    keys: Keys,
    now: Callable[[], datetime],
    random: Random,
    timeouts: DatabaseTimeouts,
) -> Services:
    ring, opt_out_only = parse_link_ring(settings.link_keys)
    links = Links(
        ring,
        settings.public_url,
        settings.unsubscribe_mail_domain,
        DatabaseLinkRegistry(),
        opt_out_only,
        count_link_key_problem,
    )

    # Imported late: most commands enqueue nothing and count nothing, and RQ, limits and the client
    # of Redis take a tenth of their time. Other processes have them by their own imports.
    @cache
    def make_queue() -> JobQueue:
        from preference_center.infra.job_queue import JobQueue  # noqa: PLC0415

        return JobQueue(settings.redis_url)

    @cache
    def make_limiter() -> RedisRateLimiter:
        from preference_center.infra.redis import RedisRateLimiter  # noqa: PLC0415

        return RedisRateLimiter(settings.redis_url)

    return Services(
        lookup_txt=_look_up_txt,
        settings=settings,
        keys=keys,
        links=links,
        make_queue=make_queue,
        make_limiter=make_limiter,
        now=now,
        random=random,
        timeouts=timeouts,
        new_id=lambda: uuid7(now(), random.getrandbits(80)),
    )
