"""What keys are used for is counted in memory, and stored by a thread and as a process ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from dev.processes import wait_until
from preference_center.core.errors import Unavailable
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.api import keys
from preference_center.web.api.keys import (
    KeyScope,
    count_key_use,
    start_storing_key_use,
    store_key_use,
)
from tests.clock import START

if TYPE_CHECKING:
    from flask import Flask


def stored() -> dict[str, int]:
    """The requests that are stored, by key and day."""
    found = run_in_transaction(lambda c: keys.list_daily_usage(c, "shop", START.date()))
    return {f"{each.day:%d}": each.requests for each in found}


def last_used() -> datetime | None:
    (key,) = run_in_transaction(keys.list_keys)
    return key.last_used_at


def test_what_was_counted_is_stored_once_with_the_time_of_the_last_use(
    app: Flask,
) -> None:
    with app.app_context():
        run_in_transaction(lambda c: keys.create_key(c, "shop", [KeyScope.READ], [], START))
        for second in range(5):
            count_key_use("shop", START + timedelta(seconds=second), requests=1)
        assert stored() == {}  # a request writes nothing of its own
        store_key_use()
        assert stored() == {"24": 5}
        assert last_used() == START + timedelta(seconds=4)
        count_key_use("shop", START + timedelta(days=1), requests=1)
        store_key_use()
        store_key_use()
        assert stored() == {"24": 5, "25": 1}
        assert last_used() == START + timedelta(days=1)


def test_counts_outlast_an_outage_of_the_database(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(_operation: object) -> None:
        raise Unavailable("The database is away.")

    with app.app_context():
        with monkeypatch.context() as patch:
            patch.setattr(keys, "run_autocommit", unavailable)
            count_key_use("shop", START, requests=3)
            store_key_use()  # raises nothing
        count_key_use("shop", START, requests=1)
        store_key_use()
        assert stored() == {"24": 4}


def test_use_is_stored_without_a_further_request(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        end = start_storing_key_use(app)
        count_key_use("shop", START, requests=2)
        assert end.still_active()
        end()
        assert stored() == {"24": 2}  # as the process ends
        monkeypatch.setattr(keys, "STORE_INTERVAL", 0.01)
        end = start_storing_key_use(app)
        try:
            count_key_use("shop", START, requests=1)
            assert wait_until(lambda: stored() == {"24": 3}, 30)
        finally:
            end()
