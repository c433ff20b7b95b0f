"""An application holds its services and Flask extensions here, and reads request bodies.

`service.configure` wires the services once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from random import Random
from typing import IO, TYPE_CHECKING, Any, cast
from uuid import UUID

from flask import Flask, Request, current_app, g, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import DateTime, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import DeclarativeBase, registry
from werkzeug.exceptions import RequestEntityTooLarge

if TYPE_CHECKING:
    from preference_center.core.keys import Keys
    from preference_center.core.links import Links
    from preference_center.infra.config import Settings
    from preference_center.infra.db.connections import DatabaseTimeouts
    from preference_center.infra.job_queue import JobQueue
    from preference_center.infra.redis import RedisRateLimiter
if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

EXTENSION_NAME = "preference_center"
"""The key of the services in `app.extensions`."""


@dataclass(frozen=True, slots=True)
class Services:
    """What entry points, workers and commands use."""

    settings: Settings
    keys: Keys
    links: Links
    make_queue: Callable[[], JobQueue]
    make_limiter: Callable[[], RedisRateLimiter]
    """Of the process: each returns the same one whenever it is called."""
    now: Callable[[], datetime]
    """The only clock: aware UTC."""
    random: Random
    """Jitter."""
    timeouts: DatabaseTimeouts
    """How long this process may wait for the database."""
    lookup_txt: Callable[..., bytes | str | None]
    """`lookup_txt(name, timeout=seconds)`: the TXT record of a DNS name; None if it has none."""
    new_id: Callable[[], UUID]
    """Ids for events: version 7, so that they sort by time (RFC 9562)."""

    @property
    def queue(self) -> JobQueue:
        """Where jobs are enqueued."""
        return self.make_queue()

    @property
    def limiter(self) -> RedisRateLimiter:
        """What counts rate limits."""
        return self.make_limiter()


def services() -> Services:
    """The services of the current app."""
    return cast("Services", current_app.extensions[EXTENSION_NAME])


TIMESTAMP_TZ = DateTime(timezone=True)
"""The type of every point in time: `timestamp with time zone`."""


class Model(DeclarativeBase):
    """The base of all mapped classes. An `int` has four bytes, unless its column says otherwise."""

    registry = registry(
        type_annotation_map={str: Text, datetime: TIMESTAMP_TZ, list[str]: ARRAY(Text)}
    )


db = SQLAlchemy(model_class=Model)


CROSS_SITE_COOKIE = "cross_site_cookie"
"""The name in `g`: true where the cookie is set in a frame on a site that may frame the page."""


CONSOLE_PATH = "/console"
"""The path of staff's pages, which have a cookie of their own."""


class CookieSessions(SecureCookieSessionInterface):
    """Flask's sessions, without creating a signer for requests without a cookie.

    Mail clients and senders never send one, and the signer takes a tenth of the time. With
    CROSS_SITE_COOKIE the cookie works in a frame of another site, and only there (CHIPS).
    Staff's pages have a cookie that is sent to no other page.
    """

    def get_cookie_name(self, app: Flask) -> str:
        """`console` on staff's pages, else as configured."""
        return "console" if _is_console() else super().get_cookie_name(app)

    def get_cookie_path(self, app: Flask) -> str:
        """The path below which the cookie is sent."""
        return CONSOLE_PATH if _is_console() else super().get_cookie_path(app)

    def get_cookie_samesite(self, app: Flask) -> str | None:
        """`None` in a frame, else as configured."""
        return "None" if g.get(CROSS_SITE_COOKIE) else super().get_cookie_samesite(app)

    def get_cookie_partitioned(self, app: Flask) -> bool:
        """Whether the cookie is kept apart for each site that frames the page."""
        return bool(g.get(CROSS_SITE_COOKIE)) or super().get_cookie_partitioned(app)

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """The session of a request: a new one if it has no cookie."""
        if "HTTP_COOKIE" not in request.environ:
            return self.session_class()
        return super().open_session(app, request)


def _is_console() -> bool:
    return f"{request.path}/".startswith(f"{CONSOLE_PATH}/")


class MemoryRequest(Request):
    """A request whose uploaded files are never written to disk, where they would lie unsealed.

    MAX_BODY_BYTES limits them.
    """

    def __init__(self, environ: WSGIEnvironment, *args: Any, **options: Any) -> None:
        super().__init__(environ, *args, **options)
        self.began = time.perf_counter()
        """When this process began to handle it."""

    def _get_file_stream(
        self,
        total_content_length: int | None,  # noqa: ARG002 - as in Werkzeug, which documents this hook
        content_type: str | None,  # noqa: ARG002
        filename: str | None = None,  # noqa: ARG002
        content_length: int | None = None,  # noqa: ARG002
    ) -> IO[bytes]:
        return BytesIO()


def read_body(*, cache: bool = True) -> bytes:
    """The bytes of the body. Raises RequestEntityTooLarge.

    Werkzeug truncates a body without Content-Length at the limit without raising an error.
    """
    raw = request.get_data(cache=cache)
    limit = request.max_content_length
    if request.content_length is None and limit is not None and len(raw) >= limit:
        raise RequestEntityTooLarge
    return raw
