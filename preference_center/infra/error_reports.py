"""Reports of errors to Sentry (the extra `sentry`): lines of the log with the level `error`.

A report is built here: what was logged, ids, and of an exception its type and the places in the
code. No message, value, local variable, line of code, request or host name: any of them may quote
a person's data. `before_send` removes whatever a version of the library adds.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from preference_center.core.errors import ConfigError

if TYPE_CHECKING:
    from sentry_sdk.transport import Transport

_TAGS = ("request_id", "job_id", "trace_id", "endpoint", "destination", "cause", "error", "job")
"""Fields of a line that are ids or come from closed sets."""
_KEPT = frozenset(
    {"event_id", "timestamp", "level", "platform", "logger", "message", "exception", "tags"}
)
"""Top-level fields of an event that are sent."""


class _ReportState:
    """Whether this process reports."""

    process: str | None = None


def start_reports(dsn: str, process: str, transport: Transport | None = None) -> None:
    """Report errors to the project of `dsn` from now on. Raises ConfigError without the extra."""
    try:
        import sentry_sdk  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError(
            "SENTRY_DSN needs the extra sentry: pip install 'preference-center[sentry]'"
        ) from None
    sentry_sdk.init(
        dsn=dsn,
        transport=transport,
        default_integrations=False,
        auto_enabling_integrations=False,
        auto_session_tracking=False,
        include_local_variables=False,
        include_source_context=False,
        max_breadcrumbs=0,
        before_send=_scrub,  # type: ignore[arg-type]
        server_name="",
    )
    _ReportState.process = process


def stop_reports() -> None:
    """Report no more."""
    _ReportState.process = None


def report_error(line: Mapping[str, Any], error: BaseException | None) -> None:
    """Report a line of the log; nothing unless this process reports."""
    if _ReportState.process is None:
        return
    import sentry_sdk  # noqa: PLC0415 - an extra

    name = str(line.get("event", ""))
    tags = {key: str(line[key]) for key in _TAGS if line.get(key) is not None}
    event: dict[str, Any] = {
        "level": "error",
        "logger": "preference_center",
        "message": name,
        "tags": {**tags, "process": _ReportState.process},
    }
    if error is not None:
        event["exception"] = {"values": [_describe(error)]}
    sentry_sdk.capture_event(event)  # type: ignore[arg-type]


def _describe(error: BaseException) -> dict[str, Any]:
    frames = [
        {
            "module": frame.f_globals.get("__name__", ""),
            "function": frame.f_code.co_name,
            "lineno": number,
        }
        for frame, number in traceback.walk_tb(error.__traceback__)
    ]
    kind = type(error)
    return {"type": kind.__name__, "module": kind.__module__, "stacktrace": {"frames": frames}}


def _scrub(event: Mapping[str, Any], _hint: object) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key in _KEPT}
