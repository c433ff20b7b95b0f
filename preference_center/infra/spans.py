"""A span maker makes and exports the spans of OpenTelemetry; it needs the extra `otel`.

`infra.telemetry` imports it if a setting asks for spans.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

SERVICE_NAME = "preference-center"
_SERVER_ERROR = 500


class SpanMaker:
    """Makes spans and exports them in batches, from a thread of its own.

    An exception that passes through a span adds nothing to it: its text may quote a person's data.
    """

    def __init__(self, endpoint: str, process: str, exporter: SpanExporter | None = None) -> None:
        resource = Resource.create(
            {"service.name": SERVICE_NAME, "preference_center.process": process}
        )
        self._provider = TracerProvider(resource=resource)
        exporter = exporter or OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(SERVICE_NAME)

    def span(self, name: str, attributes: Mapping[str, str | int]) -> AbstractContextManager[Span]:
        """A span around a block."""
        return self._tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        )

    def server_span(self, traceparent: str) -> AbstractContextManager[Span]:
        """The span of a request, in the trace of its `traceparent` header if that is valid."""
        return self._tracer.start_as_current_span(
            "request",
            context=TraceContextTextMapPropagator().extract({"traceparent": traceparent}),
            kind=SpanKind.SERVER,
            record_exception=False,
            set_status_on_exception=False,
        )

    def flush(self) -> None:
        """Export what has ended."""
        self._provider.force_flush()

    def shutdown(self) -> None:
        """Export what has ended, and stop."""
        self._provider.shutdown()


def describe_response(
    span: Span, method: str, route: str, status: int | None, request_id: str
) -> None:
    """Name the span of a request for its route, by the conventions for HTTP servers."""
    span.update_name(f"{method} {route}" if route else method)
    span.set_attribute("http.request.method", method)
    span.set_attribute("http.route", route)
    span.set_attribute("preference_center.request_id", request_id)
    if status is not None:
        span.set_attribute("http.response.status_code", status)
        if status >= _SERVER_ERROR:
            span.set_status(StatusCode.ERROR)


def current_trace_id() -> str | None:
    """The id of the current trace as 32 hexadecimal digits; None without one."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None
