"""Structured logs: one JSON line per event, with ids and never an address (I12)."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from preference_center.infra import tracing
from preference_center.infra.error_reports import report_error
from preference_center.infra.request_ids import add_to_log


def configure_logs() -> None:
    """Write structlog's events to standard error as JSON lines, from INFO up."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            add_to_log,
            _add_trace_id,
            structlog.processors.add_log_level,
            _report,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _add_trace_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    found = tracing.current_trace_id()
    if found is not None:
        event["trace_id"] = found
    return event


def _report(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Report errors, if this process does; see `infra.error_reports`."""
    if method in {"error", "exception", "critical"}:
        given = event.get("exc_info")
        error = given if isinstance(given, BaseException) else sys.exc_info()[1]
        report_error(event, error)
    return event


class JsonFormatter(logging.Formatter):
    """Lines of libraries (granian, RQ, aiosmtpd) in the form of ours.

    Of an exception it has the type and where it was raised, not its text or the lines of code:
    a library's text may quote an address (I12).
    """

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object."""
        at = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "event": record.getMessage(),
            "logger": record.name,
            "level": record.levelname.lower(),
            "timestamp": at.isoformat().replace("+00:00", "Z"),
            **structlog.contextvars.get_contextvars(),
        }
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
            line["raised_at"] = _frames(record)
        return json.dumps(line, default=str)


def _frames(record: logging.LogRecord) -> list[str]:
    trace = record.exc_info[2] if record.exc_info else None
    found = []
    while trace is not None:
        found.append(f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}")
        trace = trace.tb_next
    return found


def capture_standard_logs() -> None:
    """Write what libraries log by `logging`, from WARNING up, as JSON lines to standard error.

    For processes that nobody looks at; commands leave it to Python, which writes plain text.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
