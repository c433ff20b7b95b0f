"""The service writes structured logs, and sends spans and error reports if a setting asks for it.

A line of the log is one JSON object per event, with ids and never an address (I12).

Spans for OpenTelemetry (the extra `otel`) and error reports for Sentry (the extra `sentry`) are
off without a setting. What is sent is built here from closed sets and ids, so that no library's
habits can add an address, a token or a body (I12, docs/decisions/0093-metrics-and-traces.md).
Spans cover requests, jobs, and batches for a tool. Without `start_tracing` each of their functions
does nothing, and nothing of OpenTelemetry is imported.

Lines of the log with the level `error` are reported. A report holds what was logged, ids, and of
an exception its type and the places in the code. No message, value, local variable, line of code,
request or host name is in it: any of them may quote a person's data. `before_send` removes
whatever a version of the library adds.

The id of a request is accepted from a proxy or client, else made here, returned and logged. It has
at least 16 characters and no `@` and no `+`, so that it can be neither a telephone number (ITU-T
E.164: 15 digits at most) nor an email address (I12).
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from random import SystemRandom
from types import TracebackType
from typing import TYPE_CHECKING, Any

import structlog
from flask import Flask, has_request_context, request
from structlog.typing import EventDict, WrappedLogger

from preference_center.core.errors import ConfigError
from preference_center.infra.config import Settings

if TYPE_CHECKING:
    from sentry_sdk.transport import Transport
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from opentelemetry.sdk.trace.export import SpanExporter

    from preference_center.infra.spans import SpanMaker

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
        before_send=_scrub,  # type: ignore[arg-type]  # its own TypedDict
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
    sentry_sdk.capture_event(event)  # type: ignore[arg-type]  # its own TypedDict


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


HEADER = "X-Request-Id"


_ENVIRON_KEY = "preference_center.request_id"


_ACCEPTED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{15,63}")


_random = SystemRandom()


def request_id(environ: MutableMapping[str, Any]) -> str:
    """The id of the request of this WSGI environment, which keeps it."""
    found: str | None = environ.get(_ENVIRON_KEY)
    if found is None:
        given = environ.get("HTTP_X_REQUEST_ID", "")
        found = given if _ACCEPTED.fullmatch(given) else f"{_random.getrandbits(64):016x}"
        environ[_ENVIRON_KEY] = found
    return found


def add_to_log(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the id of the current request, if there is one, to a line of the log."""
    if has_request_context():
        event.setdefault("request_id", request_id(request.environ))
    return event


ROUTE = "preference_center.route"
"""The key of the WSGI environment that has the rule of the route, e.g. `/u/<token>`."""


_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


_NOTHING: AbstractContextManager[None] = nullcontext()


class _TracingState:
    """What makes this process's spans, once it traces."""

    maker: SpanMaker | None = None


def start_tracing(endpoint: str, process: str, exporter: SpanExporter | None = None) -> None:
    """Export spans to the collector at `endpoint` by OTLP over HTTP, from now on.

    Other variables of the specification (OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS, ...)
    apply. Raises ConfigError without the extra.
    """
    try:
        from preference_center.infra.spans import SpanMaker  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError(
            "OTEL_EXPORTER_OTLP_ENDPOINT needs the extra otel:"
            " pip install 'preference-center[otel]'"
        ) from None
    _TracingState.maker = SpanMaker(endpoint, process, exporter)


def stop_tracing() -> None:
    """Export what is left, and trace no more."""
    if _TracingState.maker is not None:
        _TracingState.maker.shutdown()
    _TracingState.maker = None


def is_tracing() -> bool:
    """Whether spans are made."""
    return _TracingState.maker is not None


def span(name: str, **attributes: str | int) -> AbstractContextManager[Any]:
    """A span around a block; of its attributes each is an id, a name or a number."""
    return _NOTHING if _TracingState.maker is None else _TracingState.maker.span(name, attributes)


def current_trace_id() -> str | None:
    """The id of the current trace as 32 hexadecimal digits; None without one."""
    if _TracingState.maker is None:
        return None
    from preference_center.infra import spans  # noqa: PLC0415 - an extra

    return spans.current_trace_id()


def trace_requests(app: Flask) -> None:
    """Let each request of this app have a span, if this process traces."""
    if _TracingState.maker is not None:
        traced = _TracedApp(app.wsgi_app, _TracingState.maker)
        app.wsgi_app = traced  # type: ignore[assignment]  # a method in Flask


class _TracedApp:
    """A span for each request, until its response begins. The path may hold a token (I12)."""

    def __init__(self, app: WSGIApplication, maker: SpanMaker) -> None:
        from preference_center.infra.spans import describe_response  # noqa: PLC0415 - an extra

        self._app, self._maker, self._describe = app, maker, describe_response

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        status: int | None = None

        def start_response(line: str, *rest: Any) -> Callable[[bytes], object]:
            nonlocal status
            status = int(line[:3])
            return start(line, *rest)

        with self._maker.server_span(environ.get("HTTP_TRACEPARENT", "")) as current:
            response = self._app(environ, start_response)
            method = environ["REQUEST_METHOD"]
            self._describe(
                current,
                method if method in _METHODS else "_OTHER",
                environ.get(ROUTE, ""),
                status,
                request_id(environ),
            )
        return response


def start_telemetry(settings: Settings, process: str) -> None:
    """Start what the settings ask for, in a process called `process` in the Procfile.

    Raises ConfigError if an extra is missing.
    """
    if settings.otel_exporter_otlp_endpoint:
        start_tracing(settings.otel_exporter_otlp_endpoint, process)
    if settings.sentry_dsn:
        start_reports(settings.sentry_dsn, process)


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
            _locate_exception,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _add_trace_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    found = current_trace_id()
    if found is not None:
        event["trace_id"] = found
    return event


def _report(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Report errors, if this process does; see `infra.telemetry`."""
    if method in {"error", "exception", "critical"}:
        given = event.get("exc_info")
        error = given if isinstance(given, BaseException) else sys.exc_info()[1]
        report_error(event, error)
    return event


def _locate_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Log an exception's type and place, not its text, which may quote an address (I12)."""
    error = event.pop("exc_info", None)
    if isinstance(error, BaseException):
        event.update(_describe_exception(error))
    return event


def _describe_exception(error: BaseException) -> dict[str, Any]:
    return {"error": type(error).__name__, "raised_at": _list_frames(error.__traceback__)}


def _list_frames(trace: TracebackType | None) -> list[str]:
    """Where an exception was raised: modules and lines, the innermost last."""
    found = []
    while trace is not None:
        found.append(f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}")
        trace = trace.tb_next
    return found


class JsonFormatter(logging.Formatter):
    """Lines of libraries (granian, RQ, aiosmtpd) in the form of ours: see `_locate_exception`."""

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
        if record.exc_info and record.exc_info[1]:
            line |= _describe_exception(record.exc_info[1])
        return json.dumps(line, default=str)


def capture_standard_logs() -> None:
    """Write what libraries log by `logging`, from WARNING up, as JSON lines to standard error.

    For processes that nobody looks at; commands leave it to Python, which writes plain text.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
