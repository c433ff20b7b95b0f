"""A limit for streamed responses: each occupies a thread for as long as its reader takes."""

from __future__ import annotations

from threading import BoundedSemaphore

from flask import current_app
from pydantic import Field

from preference_center.core.errors import InvalidWatermark
from preference_center.infra.context import services
from preference_center.ledger.watermarks import Watermark, parse_watermark
from preference_center.web.api.error_handlers import RETRY_AFTER_SECONDS
from preference_center.web.api.problems import UNAVAILABLE, ApiError, InvalidQuery, ParameterError

WATERMARK_SCHEMA = Field(
    json_schema_extra={
        "format": "watermark",
        "pattern": r"^[0-9a-f]{8}\.(0|[1-9][0-9]{0,19})\.(0|[1-9][0-9]{0,18})$",
    },
)


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


def parse_after(text: str | None) -> Watermark | None:
    """The watermark of the parameter `after`. Raises InvalidQuery."""
    try:
        return None if text is None else parse_watermark(text)
    except InvalidWatermark as error:
        raise InvalidQuery([ParameterError("after", "invalid-value", str(error))]) from None
