"""The start and the stop of a worker or scheduler process."""

from __future__ import annotations

from threading import Event

import structlog
from flask import current_app

from preference_center.core.errors import Unavailable
from preference_center.infra.hooks import register_now
from preference_center.infra.keys.fingerprints import require_known_keys

log = structlog.get_logger()

stop_requested = Event()
"""Set when the process was asked to stop: it then finishes the current batch."""

RETRY_INTERVAL = 1.0
"""Seconds between attempts to reach the database."""


def wait_for_database() -> None:
    """Return once the database is available and our keys match it, or on `stop_requested`.

    Before that, the hooks are registered. When a host boots, processes start in any order.
    Raises KeyMismatch.
    """
    register_now(current_app)  # takes longer than a transaction may
    while not stop_requested.is_set():
        try:
            require_known_keys()
        except Unavailable as error:
            log.warning("database_unavailable", **error.log_fields)
            stop_requested.wait(RETRY_INTERVAL)
        else:
            return
