"""Reports to Sentry: what went wrong where, and nothing about anybody (I12)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import sentry_sdk
import structlog
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from preference_center.core.errors import ConfigError
from preference_center.infra import telemetry
from preference_center.infra.config import Settings
from preference_center.infra.telemetry import start_reports, start_telemetry, stop_reports

if TYPE_CHECKING:
    from flask import Flask

DSN = "https://public@sentry.example/1"
ADDRESS = "anna@example.com"


class Kept(Transport):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        for item in envelope.items:
            assert item.payload.json
            self.sent.append(item.payload.json)


@pytest.fixture
def kept(app: Flask) -> Iterator[Kept]:
    kept = Kept()
    start_reports(DSN, "web", kept)
    yield kept
    stop_reports()
    sentry_sdk.init()


def fail_with_local(address: str) -> None:
    raise ValueError(f"no such person: {address}")


def test_an_unexpected_error_is_reported_without_what_it_says(
    app: Flask, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    def view() -> str:
        fail_with_local(ADDRESS)
        return ""

    monkeypatch.setitem(app.view_functions, "probes.livez", view)
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    answer = app.test_client().get(
        f"/livez?a={ADDRESS}", headers={"User-Agent": ADDRESS, "Cookie": f"a={ADDRESS}"}
    )
    assert answer.status_code == 500
    (event,) = kept.sent
    assert event["message"] == "unexpected"
    (error,) = event["exception"]["values"]
    assert error["type"] == "ValueError"
    assert error["stacktrace"]["frames"][-1]["function"] == "fail_with_local"
    assert event["tags"]["request_id"] == answer.headers["X-Request-Id"]
    assert event["tags"]["endpoint"] == "probes.livez"
    text = json.dumps(event)
    for secret in ("anna", "example.com", "no such person"):
        assert secret not in text


def test_only_known_parts_of_an_event_are_sent(kept: Kept) -> None:
    sentry_sdk.set_user({"email": ADDRESS})
    sentry_sdk.set_context("body", {"text": ADDRESS})
    sentry_sdk.add_breadcrumb(message=ADDRESS)
    structlog.get_logger().error("spool_failed", error="OSError", reason=ADDRESS)
    (event,) = kept.sent
    assert event["tags"] == {"error": "OSError", "process": "web"}
    assert event.keys() <= telemetry._KEPT
    assert "anna" not in json.dumps(event)


def test_a_warning_is_no_report(kept: Kept) -> None:
    structlog.get_logger().warning("unavailable", cause="unreachable")
    assert kept.sent == []


def test_without_a_setting_nothing_is_reported(settings: Settings) -> None:
    start_telemetry(settings, "web")
    assert telemetry._ReportState.process is None
    telemetry.report_error({"event": "x"}, None)


def test_a_missing_extra_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    given = settings.model_copy(update={"sentry_dsn": DSN})
    with pytest.raises(ConfigError, match=r"preference-center\[sentry\]"):
        start_telemetry(given, "web")
