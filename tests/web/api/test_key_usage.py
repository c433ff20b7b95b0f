"""What keys are used for is counted in memory, and stored once a minute."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.core.errors import Unavailable
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.api import keys
from preference_center.web.api.keys import FLUSH_SECONDS, KeyUsageCounter, KeyUse
from tests.clock import START

if TYPE_CHECKING:
    from flask import Flask


class Stopwatch:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def stored(app: Flask) -> dict[str, int]:
    """The requests that are stored, by key and day."""
    with app.app_context():
        found = run_in_transaction(lambda c: keys.list_daily_usage(c, "shop", START.date()))
    return {f"{each.day:%d}": each.requests for each in found}


def test_one_minute_is_one_write_per_key_and_day(app: Flask) -> None:
    watch = Stopwatch()
    counter = KeyUsageCounter(watch)
    with app.app_context():
        for _ in range(5):
            counter.add("shop", START, {KeyUse.REQUESTS: 1})
        assert stored(app) == {"24": 1}  # the first at once, so that the last use is known
        watch.seconds += FLUSH_SECONDS
        counter.add("shop", START + timedelta(days=1), {KeyUse.REQUESTS: 1})
    assert stored(app) == {"24": 5, "25": 1}


def test_counts_outlast_an_outage_of_the_database(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Stopwatch()
    counter = KeyUsageCounter(watch)

    def unavailable(_operation: object) -> None:
        raise Unavailable("The database is away.")

    with app.app_context():
        with monkeypatch.context() as patch:
            patch.setattr(keys, "run_autocommit", unavailable)
            counter.add("shop", START, {KeyUse.REQUESTS: 3})  # raises nothing
        watch.seconds += FLUSH_SECONDS
        counter.add("shop", START, {KeyUse.REQUESTS: 1})
    assert stored(app) == {"24": 4}
