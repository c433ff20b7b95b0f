"""A deprecated operation says so in each of its responses, and in the document."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

import pytest
from flask import Flask, Response

from preference_center.web.api import endpoint
from preference_center.web.api.endpoint import NOTICE, Deprecation

SINCE = datetime(2027, 3, 1, tzinfo=UTC)
SUNSET = datetime(2027, 12, 1, 10, 30, tzinfo=UTC)


@pytest.fixture
def deprecated(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """`GET /v1/catalogue` as if it were deprecated."""
    name = "api.get_catalogue"
    assert name in app.view_functions
    monkeypatch.setitem(endpoint.DEPRECATIONS, name, Deprecation(SINCE, SUNSET))


@pytest.mark.usefixtures("deprecated")
def test_answers_and_refusals_carry_both_headers(app: Flask) -> None:
    response = app.test_client().get("/v1/catalogue")
    assert response.status_code == 401
    assert response.headers["Deprecation"] == f"@{int(SINCE.timestamp())}"
    assert parsedate_to_datetime(response.headers["Sunset"]) == SUNSET
    assert response.headers["Sunset"] == "Wed, 01 Dec 2027 10:30:00 GMT"
    public_url = "https://preferences.example.com"
    assert response.headers["Link"] == (
        f'<{public_url}/v1/docs>; rel="deprecation"; type="text/html"'
    )


@pytest.mark.usefixtures("deprecated")
def test_other_operations_carry_neither(app: Flask) -> None:
    response = app.test_client().post("/v1/decisions", json={})
    assert not {"Deprecation", "Sunset"} & {name for name, _ in response.headers}


def test_a_short_notice_is_refused() -> None:
    with pytest.raises(ValueError, match="180 days"):
        Deprecation(SINCE, SINCE + NOTICE - timedelta(seconds=1))
    with pytest.raises(ValueError, match="time zone"):
        Deprecation(SINCE.replace(tzinfo=None), SUNSET)


def test_a_sunset_of_another_zone_is_written_in_gmt() -> None:
    sunset = SUNSET.astimezone(timezone(timedelta(hours=5)))
    response = Deprecation(SINCE, sunset).add_headers(Response(), "https://example.com/v1/docs")
    assert response.headers["Sunset"] == "Wed, 01 Dec 2027 10:30:00 GMT"
