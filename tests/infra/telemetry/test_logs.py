"""Lines of libraries have the form of ours, and quote nothing that an error says."""

from __future__ import annotations

import json
import logging
import sys

import pytest
import structlog
from structlog.contextvars import bound_contextvars

from preference_center.infra.telemetry import JsonFormatter, configure_logs


def line_of(message: str, *, exc_info: bool = False) -> dict[str, object]:
    record = logging.LogRecord(
        "rq", logging.WARNING, "", 1, message, (), sys.exc_info() if exc_info else None
    )
    return dict(json.loads(JsonFormatter().format(record)))


def test_a_line_is_one_object_with_the_job_it_is_about() -> None:
    with bound_contextvars(job_id="sync-3-0-17"):
        line = line_of("something\nhappened")
    assert line["event"] == "something\nhappened"
    assert (line["logger"], line["level"], line["job_id"]) == ("rq", "warning", "sync-3-0-17")
    assert "\n" not in JsonFormatter().format(
        logging.LogRecord("rq", logging.WARNING, "", 1, "a\nb", (), None)
    )


def test_of_an_error_our_own_lines_have_the_same(capsys: pytest.CaptureFixture[str]) -> None:  # I12
    configured = structlog.get_config()
    configure_logs()
    try:
        int("anna@example.com")
    except ValueError as error:
        structlog.get_logger().error("unexpected", exc_info=error)
    finally:
        structlog.configure(**configured)
    printed = capsys.readouterr().err
    line = json.loads(printed)
    assert (line["event"], line["error"]) == ("unexpected", "ValueError")
    assert line["raised_at"][-1].startswith(f"{__name__}:")
    assert "anna" not in printed


def test_of_an_error_it_has_the_type_and_the_place_only() -> None:  # I12
    line: dict[str, object] = {}
    try:
        int("anna@example.com")
    except ValueError:
        line = line_of("failed", exc_info=True)
    assert line["error"] == "ValueError"
    assert "anna" not in json.dumps(line)
    assert str(line["raised_at"]).startswith("['")
