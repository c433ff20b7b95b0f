"""Spans for OpenTelemetry (the extra `otel`): requests, jobs, and batches for a tool.

Without `start_tracing` each function does nothing, and nothing of OpenTelemetry is imported.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from flask import Flask

from preference_center.core.errors import ConfigError
from preference_center.infra.request_ids import request_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from opentelemetry.sdk.trace.export import SpanExporter

    from preference_center.infra.spans import SpanMaker

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
        app.wsgi_app = traced  # type: ignore[assignment]


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
