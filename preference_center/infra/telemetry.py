"""Traces for OpenTelemetry and error reports for Sentry: both extras, both off without a setting.

What is sent is built here from closed sets and ids, so that no library's habits can add an
address, a token or a body (I12, docs/decisions/0094-traces-and-reports.md).
"""

from __future__ import annotations

from preference_center.infra import error_reports, tracing
from preference_center.infra.config import Settings


def start_telemetry(settings: Settings, process: str) -> None:
    """Start what the settings ask for, in a process called `process` in the Procfile.

    Raises ConfigError if an extra is missing.
    """
    if settings.otel_exporter_otlp_endpoint:
        tracing.start_tracing(settings.otel_exporter_otlp_endpoint, process)
    if settings.sentry_dsn:
        error_reports.start_reports(settings.sentry_dsn, process)
