"""What a process of ours waits for before it begins."""

from __future__ import annotations

import structlog

from preference_center.errors import Unavailable
from preference_center.storage.access.key_fingerprints import require_known_keys
from workers.stopping import stop_requested

log = structlog.get_logger()

RETRY_INTERVAL = 1.0
"""Seconds between tries."""


def wait_for_database() -> None:
    """Return once the database has answered that our keys are its own, or when asked to stop.

    A machine that boots starts us in any order. Raises KeyMismatch.
    """
    while not stop_requested.is_set():
        try:
            require_known_keys()
        except Unavailable as error:
            log.warning("database_unavailable", cause=error.cause)
            stop_requested.wait(RETRY_INTERVAL)
        else:
            return
