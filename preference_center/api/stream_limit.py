"""A limit for streamed responses: each occupies a thread for as long as its reader takes."""

from __future__ import annotations

from threading import BoundedSemaphore

from flask import current_app

from preference_center.api.error_handlers import RETRY_AFTER_SECONDS
from preference_center.api.problems import UNAVAILABLE, ApiError
from preference_center.context import services

_EXTENSION_KEY = "preference_center.stream_slots"


def acquire_stream_slot() -> BoundedSemaphore:
    """A slot for one more stream, which the caller releases. Raises ApiError if none is free.

    The limit keeps threads free for opt-outs.
    """
    slots: BoundedSemaphore = current_app.extensions.setdefault(
        _EXTENSION_KEY, BoundedSemaphore(services().settings.max_streams)
    )
    if not slots.acquire(blocking=False):
        raise ApiError(
            UNAVAILABLE,
            "Too many streams are open: try again later.",
            {"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    return slots
