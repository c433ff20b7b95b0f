"""The services of an application, which `create_app` wires once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, cast
from uuid import UUID

from flask import current_app

if TYPE_CHECKING:
    from preference_center.core.keys import Keys
    from preference_center.core.links import Links
    from preference_center.infra.config import Settings
    from preference_center.infra.db.database_timeouts import DatabaseTimeouts
    from preference_center.infra.job_queue import JobQueue
    from preference_center.infra.rate_limiter import RedisRateLimiter

EXTENSION_NAME = "preference_center"
"""The key of the services in `app.extensions`."""


@dataclass(frozen=True, slots=True)
class Services:
    """What entry points, workers and commands use."""

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
    """`lookup_txt(name, timeout=seconds)`: the TXT record of a DNS name; None if it has none."""
    new_id: Callable[[], UUID]
    """Ids for events: version 7, so that they sort by time (RFC 9562)."""


def services() -> Services:
    """The services of the current app."""
    return cast("Services", current_app.extensions[EXTENSION_NAME])
