"""Places for answers that stream: each takes a thread as long as its reader wants."""

from __future__ import annotations

from threading import BoundedSemaphore

from flask import current_app

from preference_center.api.error_handlers import RETRY_AFTER_SECONDS
from preference_center.api.problems import UNAVAILABLE, ApiError
from preference_center.extensions import services

_EXTENSION_KEY = "preference_center.streams"


def acquire_stream_slot() -> BoundedSemaphore:
    """A place for one more stream, to be released. Raises Refused if there is none.

    Some threads must be left for opt-outs.
    """
    slots: BoundedSemaphore = current_app.extensions.setdefault(
        _EXTENSION_KEY, BoundedSemaphore(services().settings.max_streams)
    )
    if not slots.acquire(blocking=False):
        raise ApiError(
            UNAVAILABLE,
            "Too many lists are being answered already: try again in a while.",
            {"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    return slots
