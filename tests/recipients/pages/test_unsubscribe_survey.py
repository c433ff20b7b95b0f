"""Why somebody left: asked only afterwards, counted, and tied to nobody."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.infra.db.transactions import run_in_transaction
from preference_center.recipients.store import SurveyCount, SurveyReason, list_counts_between
from tests.clock import Clock
from tests.ledger.tables import Ledger
from tests.web.pages.fixtures import MakeToken

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

MONTH = date(2026, 11, 1)


def counted(app: Flask) -> list[SurveyCount]:
    with app.app_context():
        return run_in_transaction(lambda c: list_counts_between(c, MONTH, MONTH))


def test_is_asked_after_the_no_and_never_before(client: FlaskClient, token: str) -> None:  # C2
    for path in (f"/u/{token}", f"/p/{token}"):
        assert 'name="reason"' not in client.get(path).text
    for what in ("this", "all"):
        done = client.post(f"/u/{token}", data={"confirm": what}, follow_redirects=True).text
        assert f'action="/reason/{token}"' in done
        assert all(f'value="{reason}"' in done for reason in SurveyReason)


@pytest.mark.parametrize("reason", SurveyReason)
def test_is_counted_by_month_and_scope(
    app: Flask, client: FlaskClient, token: str, ledger: Ledger, reason: SurveyReason
) -> None:
    client.post(f"/u/{token}", data={"confirm": "this"}, follow_redirects=True)
    before = ledger.rows()
    assert (
        "Thank you"
        in client.post(f"/reason/{token}", data={"reason": reason}, follow_redirects=True).text
    )
    assert counted(app) == [SurveyCount(MONTH, "digest", reason, 1)]
    assert ledger.rows() == before  # I8: the opt-out and its evidence stay as they were


def test_of_two_people_is_one_number(
    app: Flask, client: FlaskClient, make_token: MakeToken
) -> None:
    for address in ("jane@example.com", "joe@example.com"):
        data = {"reason": "too_often", "of": "all"}
        client.post(f"/reason/{make_token(address)}", data=data, follow_redirects=True)
    assert counted(app) == [SurveyCount(MONTH, "all_marketing", "too_often", 2)]


def test_given_twice_counts_once(app: Flask, client: FlaskClient, token: str, clock: Clock) -> None:
    for _ in range(2):
        assert (
            "Thank you"
            in client.post(f"/reason/{token}", data={"reason": "other"}, follow_redirects=True).text
        )
        clock.advance(timedelta(seconds=1))
    assert [each.count for each in counted(app)] == [1]


@pytest.mark.parametrize("reason", ["", "x", "TOO_OFTEN", "\x00", None])
def test_that_is_not_one_of_ours_is_not_counted(
    app: Flask, client: FlaskClient, token: str, reason: str | None
) -> None:
    answer = client.post(
        f"/reason/{token}", data={} if reason is None else {"reason": reason}, follow_redirects=True
    )
    assert answer.status_code == 200
    assert "no reason needed" in answer.text
    assert counted(app) == []


def test_needs_a_link_of_ours_and_a_post(app: Flask, client: FlaskClient, token: str) -> None:
    for path in ("/reason", "/reason/", "/reason/x"):
        assert client.post(path, data={"reason": "other"}).status_code == 404
    for method in ("GET", "HEAD"):
        assert client.open(f"/reason/{token}?reason=other", method=method).status_code == 405  # I7
    assert counted(app) == []
