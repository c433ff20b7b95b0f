"""Spans: what they are about, and that they hold no address, token or body (I12)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from werkzeug.wrappers import Request, Response

from preference_center.core.errors import ConfigError
from preference_center.infra import telemetry
from preference_center.infra.config import Settings
from preference_center.infra.telemetry import start_telemetry, trace_requests
from tests.in_force import put_in_force
from tests.integrations.tools.stand_in import StandIn
from tests.web.api.sender import make_sender

if TYPE_CHECKING:
    from flask import Flask

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ADDRESS = "anna@example.com"


class Spans:
    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()

    def take(self) -> list[ReadableSpan]:
        assert telemetry._TracingState.maker
        telemetry._TracingState.maker.flush()
        found = [*self.exporter.get_finished_spans()]
        self.exporter.clear()
        return found


@pytest.fixture
def spans() -> Iterator[Spans]:
    spans = Spans()
    telemetry.start_tracing("http://unused.example", "web", spans.exporter)
    yield spans
    telemetry.stop_tracing()


@pytest.fixture
def traced(app: Flask, spans: Spans, monkeypatch: pytest.MonkeyPatch) -> Flask:
    monkeypatch.setattr(app, "wsgi_app", app.wsgi_app)  # as it was, afterwards
    trace_requests(app)
    return app


def test_a_request_is_a_span_named_for_its_route(traced: Flask, spans: Spans) -> None:
    traced.test_client().get("/livez", headers={"traceparent": PARENT})
    (span,) = spans.take()
    assert span.name == "GET /livez"
    assert span.context
    assert f"{span.context.trace_id:032x}" == PARENT.split("-")[1]
    assert span.attributes
    assert span.attributes["http.response.status_code"] == 200
    assert span.resource.attributes["service.name"] == "preference-center"


def test_no_span_holds_an_address_a_token_or_a_body(traced: Flask, spans: Spans) -> None:  # I12
    put_in_force(traced)
    sender = make_sender(traced)
    sender.post("/v1/decisions", {"recipient": ADDRESS, "message_type": "invoice"})
    client = traced.test_client()
    for path in (f"/u/{ADDRESS}", f"/{ADDRESS}?a={ADDRESS}", f"/in/crm/{ADDRESS}", "/u/s3cr3t"):
        client.get(path, headers={"Referer": ADDRESS, "traceparent": ADDRESS})
        client.post(path, data=ADDRESS)
    client.open("/livez", method=ADDRESS.upper())
    found = spans.take()
    assert len(found) == 10
    text = " ".join(span.to_json() for span in found)
    for secret in ("anna", "example.com", "s3cr3t", sender.key):
        assert secret not in text.lower()


def test_a_span_inside_is_of_the_same_trace_and_an_error_adds_no_text(spans: Spans) -> None:
    with (
        pytest.raises(RuntimeError),
        telemetry.span("job", job_id="sync-3"),
        telemetry.span("push", destination="crm"),
    ):
        raise RuntimeError(ADDRESS)
    push, job = spans.take()
    assert push.context
    assert job.context
    assert push.context.trace_id == job.context.trace_id
    assert dict(push.attributes or {}) == {"destination": "crm"}
    assert ADDRESS not in push.to_json() + job.to_json()


def test_the_log_names_the_trace(spans: Spans, capsys: pytest.CaptureFixture[str]) -> None:
    with telemetry.span("job") as span:
        structlog.get_logger().warning("something")
    line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert line["trace_id"] == f"{span.get_span_context().trace_id:032x}"


class Collector(StandIn):
    """A collector of OpenTelemetry."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[tuple[str, bytes]] = []

    def handle(self, request: Request) -> Response:
        self.received.append((request.path, request.get_data()))
        return Response(status=200)


def test_a_collector_gets_them_by_otlp(settings: Settings) -> None:
    with Collector() as collector:
        given = settings.model_copy(update={"otel_exporter_otlp_endpoint": collector.url})
        start_telemetry(given, "worker")
        try:
            with telemetry.span("push", destination="crm"):
                pass
        finally:
            telemetry.stop_tracing()
    ((path, body),) = collector.received
    assert path == "/v1/traces"
    spans = ExportTraceServiceRequest.FromString(body).resource_spans[0]
    assert spans.scope_spans[0].spans[0].name == "push"
    names = {each.key: each.value.string_value for each in spans.resource.attributes}
    assert names["preference_center.process"] == "worker"
    assert not {"host.name", "process.command_args"} & names.keys()


def test_without_a_setting_nothing_is_traced(app: Flask, settings: Settings) -> None:
    start_telemetry(settings, "web")
    assert not telemetry.is_tracing()
    before = app.wsgi_app
    trace_requests(app)
    assert app.wsgi_app == before
    with telemetry.span("job", job_id="sync-3"):
        assert telemetry.current_trace_id() is None


def test_a_missing_extra_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "preference_center.infra.spans", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    given = settings.model_copy(update={"otel_exporter_otlp_endpoint": "http://collector:4318"})
    with pytest.raises(ConfigError, match=r"preference-center\[otel\]"):
        start_telemetry(given, "web")
