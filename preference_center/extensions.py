"""The Flask extensions, and the services that the composition root hands out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, cast
from uuid import UUID

from flask import Flask, Request, current_app
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect

if TYPE_CHECKING:
    from preference_center.config import Settings
    from preference_center.database_timeouts import DatabaseTimeouts
    from preference_center.domain.vendor_events import ReceivedMail
    from preference_center.keys import Keys
    from preference_center.links import Links
    from preference_center.queue import JobQueue
    from preference_center.rate_limiter import RedisRateLimiter

db = SQLAlchemy()
migrate = Migrate()
csrf = CSRFProtect()

EXTENSION_NAME = "preference_center"


class CookieSessions(SecureCookieSessionInterface):
    """Flask's sessions, without making a signer for those who bring no cookie.

    Mail clients and senders never do, and it is a tenth of what answering them takes.
    """

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """The session of a request: a new one if it brings no cookie."""
        if "HTTP_COOKIE" not in request.environ:
            return self.session_class()
        return super().open_session(app, request)


@dataclass(frozen=True, slots=True)
class Services:
    """What doors and workers need, wired once by `create_app`."""

    settings: Settings
    keys: Keys
    links: Links
    queue: JobQueue
    limiter: RedisRateLimiter
    now: Callable[[], datetime]
    """The only clock: aware UTC."""
    random: Random
    """Jitter."""
    timeouts: DatabaseTimeouts
    """How long this process may wait for the database."""
    lookup_txt: Callable[..., bytes | str | None]
    """`txt_record(name, timeout=seconds)`: that of a DNS name; None if it has none."""
    receive_mail: Callable[[ReceivedMail, datetime], bool]
    """Do what a mail says that a vendor received for us at that time: `inbound.receive_mail`."""
    new_id: Callable[[], UUID]
    """Ids for events: version 7, so that they sort by time (RFC 9562)."""


def services() -> Services:
    """The services of the current app."""
    return cast("Services", current_app.extensions[EXTENSION_NAME])
