"""Tools whose rate limits are no part of a test."""

from __future__ import annotations

from itertools import count

import pytest
from flask import Flask

from preference_center.destinations.token_buckets import BUCKETS_EXTENSION, TokenBuckets


def wait_for_no_rate_limit(app: Flask, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an hour pass between any two requests, so that none waits for its time."""
    hours = count(step=3600)
    buckets = TokenBuckets(redis_url, clock=lambda: next(hours))
    monkeypatch.setitem(app.extensions, BUCKETS_EXTENSION, buckets)
