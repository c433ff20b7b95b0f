"""Structured logs: one JSON line per event, with ids and never an address (I12)."""

from __future__ import annotations

import logging
import sys

import structlog

from preference_center.request_ids import add_to_log


def configure_logs() -> None:
    """Write structlog's events to standard error as JSON lines, from INFO up."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            add_to_log,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
