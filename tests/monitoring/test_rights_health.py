"""Data-subject requests in `/healthz`, before they are late."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.monitoring import measure, probes
from tests.clock import Clock
from tests.rights.asking import ask

if TYPE_CHECKING:
    from flask import Flask

DAY = timedelta(days=1)


def rights(app: Flask) -> dict[str, int]:
    answer = app.test_client().get("/healthz")
    assert answer.status_code == 200
    return dict(answer.get_json()["rights"])


def test_requests_are_counted_by_how_late_they_are(app: Flask, clock: Clock) -> None:
    with app.app_context():
        ask()
    counts = {"past_target": 0, "due_soon": 0, "overdue": 0, "webhooks_due": 0}
    assert rights(app) == counts
    for days, stage in ((7, "past_target"), (17, "due_soon"), (6, "overdue")):
        clock.advance(days * DAY)
        assert rights(app) == counts | {stage: 1}


def test_a_request_whose_clock_stands_is_not_late(app: Flask, clock: Clock) -> None:
    with app.app_context():
        ask(identity_asked=True)
    clock.advance(60 * DAY)
    assert set(rights(app).values()) == {0}


@pytest.mark.parametrize(
    "limit, count",
    [
        ("MAX_OPEN_ITEMS", "review_queue"),
        ("MAX_BY_HAND", "by_hand"),
        ("MAX_UNWRITTEN", "not_in_journal"),
        ("MAX_STAGES", "rights"),
    ],
)
def test_a_count_that_stopped_at_its_limit_is_named(
    app: Flask, monkeypatch: pytest.MonkeyPatch, limit: str, count: str
) -> None:
    assert app.test_client().get("/healthz").get_json()["capped"] == []
    monkeypatch.setattr(probes, limit, 0)
    assert app.test_client().get("/healthz").get_json()["capped"] == [count]


def test_due_webhooks_that_stopped_at_their_limit_are_named(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "MAX_DUE", 0)
    assert app.test_client().get("/healthz").get_json()["capped"] == ["webhooks_due"]
