"""A mailed link opens the page once, for anyone who presses its button; scanners can't."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.links.tokens import TokenPurpose
from preference_center.infra.context import EXTENSION_NAME
from preference_center.infra.db.transactions import override_limits
from tests.clock import Clock
from tests.infra.mailing import give_mail_server, link_in, queued_emails
from tests.ledger.changes import patient
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from tests.web.pages.fixtures import MakeToken

ADDRESS = "jane.doe@example.com"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def mailed(app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of the link that the form mailed to Jane."""
    give_mail_server(app, monkeypatch)
    client.post("/form", data={"address": ADDRESS})
    (email,) = queued_emails(app)
    return link_in(email)


def press(client: FlaskClient, path: str) -> TestResponse:
    return client.post(path, data={"open": "yes"})


def visit(app: Flask, clock: Clock, use: TokenPurpose = TokenPurpose.PAGE_VISIT) -> str:
    links = app.extensions[EXTENSION_NAME].links
    token: str = links.create_one_time_token(
        use, parse_address(ADDRESS, Channel.EMAIL), uuid4(), clock()
    )
    return token


def test_the_button_opens_the_page(client: FlaskClient, mailed: str) -> None:
    shown = client.get(mailed)
    assert shown.status_code == 200
    assert "Open my choices" in shown.text
    assert ADDRESS not in shown.text
    opened = press(client, mailed)
    assert opened.status_code == 303
    assert opened.location.startswith("/p/")
    assert "Weekly digest" in client.get(opened.location).text


def test_the_language_goes_along(client: FlaskClient, mailed: str) -> None:
    opened = press(client, f"{mailed}?lang=it")
    assert '<html lang="it">' in client.get(opened.location).text


def test_scanners_use_nothing_up(client: FlaskClient, mailed: str, ledger: Ledger) -> None:  # I7
    before = ledger.rows()
    for _ in range(3):
        for method in ("GET", "HEAD", "OPTIONS", "POST"):  # a POST of nothing is no press
            assert client.open(mailed, method=method).status_code == 200
    assert ledger.rows() == before
    assert press(client, mailed).status_code == 303


def test_a_double_press_works(client: FlaskClient, mailed: str, clock: Clock) -> None:
    assert press(client, mailed).status_code == 303
    clock.advance(2 * MINUTE)
    assert press(client, mailed).status_code == 303


def test_it_works_once(client: FlaskClient, mailed: str, clock: Clock) -> None:
    press(client, mailed)
    clock.advance(2 * MINUTE + timedelta(seconds=1))
    answer = press(client, mailed)
    assert answer.status_code == 410
    assert "This link has expired" in answer.text
    press(client, mailed)
    assert press(client, mailed).status_code == 410  # a late press gives no new grace


def test_presses_at_the_same_moment_are_one(
    app: Flask, mailed: str, ledger: Ledger, clock: Clock
) -> None:
    def press_once(_: int) -> int:
        with app.app_context(), override_limits(patient()):
            return press(app.test_client(), mailed).status_code

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(press_once, range(8)))
    assert answers == [303] * 8


def test_it_works_for_a_day(client: FlaskClient, mailed: str, clock: Clock) -> None:
    clock.advance(timedelta(hours=24))
    assert client.get(mailed).status_code == 200
    clock.advance(timedelta(seconds=1))
    for answer in (client.get(mailed), press(client, mailed)):
        assert answer.status_code == 410
        assert "Email me a new link" in answer.text


@pytest.mark.parametrize("field", ["confirm", "undo"])
def test_an_expired_link_says_nothing_of_what_was_chosen(
    client: FlaskClient, mailed: str, make_token: MakeToken, clock: Clock, field: str
) -> None:
    client.post(f"/u/{make_token(scope='all_marketing')}", data={"confirm": "all"})
    clock.advance(timedelta(hours=25))
    shown = client.post(mailed, data={field: "x"}, follow_redirects=True).text
    assert "We received this on" not in shown
    assert "j***@" not in shown


def test_an_expired_link_has_a_fresh_one_mailed(
    app: Flask, client: FlaskClient, mailed: str, clock: Clock
) -> None:
    clock.advance(timedelta(days=2))
    assert client.get(mailed).status_code == 410
    client.post("/form", data={"link": mailed.removeprefix("/m/")})
    newest = queued_emails(app)[-1]
    assert newest.recipient.exact == ADDRESS
    assert press(client, link_in(newest)).status_code == 303


def test_what_was_used_is_forgotten_when_it_opens_nothing_any_more(
    app: Flask, client: FlaskClient, mailed: str, clock: Clock
) -> None:
    press(client, mailed)
    clock.advance(timedelta(hours=25))
    client.post("/form", data={"address": "jim.poe@example.com"})
    press(client, link_in(queued_emails(app)[-1]))
    with app.app_context():
        from preference_center.infra.db.transactions import run_in_transaction

        assert run_in_transaction(
            lambda c: c.execute("SELECT count(*) FROM consumed_one_time_token").fetchone()
        ) == (1,)


def test_a_mailed_link_opens_nothing_past_its_button(client: FlaskClient, mailed: str) -> None:
    token = mailed.removeprefix("/m/")
    for page in ("p", "u", "portal", "w"):
        assert client.get(f"/{page}/{token}").status_code == 404


def test_the_page_stays_open_for_30_minutes(app: Flask, client: FlaskClient, clock: Clock) -> None:
    path = f"/p/{visit(app, clock)}"
    clock.advance(30 * MINUTE)
    assert "Weekly digest" in client.get(path).text
    clock.advance(timedelta(seconds=1))
    late = client.get(path)
    assert late.status_code == 410
    assert "Weekly digest" not in late.text
    assert "jane" not in late.text.lower()


def test_an_opt_out_on_a_page_left_open_is_saved(
    app: Flask, client: FlaskClient, clock: Clock, subscribed: Callable[..., Any]
) -> None:  # I5: no opt-out is lost
    path = f"/p/{visit(app, clock)}"
    page = client.get(path).text
    state = page.partition('name="state" value="')[2].partition('"')[0]
    clock.advance(timedelta(days=1))
    late = client.post(path, data={"state": state, "topics": ["offers"]}, follow_redirects=True)
    assert late.status_code == 200
    assert "What you turned off is saved." in late.text
    assert "Weekly digest" not in late.text  # nothing more is shown
    assert not subscribed(topic="digest")
    assert not subscribed(topic="offers")  # what proves nothing turns nothing on


def test_stopping_everything_works_from_a_page_left_open(
    app: Flask, client: FlaskClient, clock: Clock, ledger: Ledger
) -> None:  # I7: a valid link always answers 2xx
    token = visit(app, clock)
    clock.advance(timedelta(days=365))
    assert (
        client.post(f"/u/{token}", data={"confirm": "all"}, follow_redirects=True).status_code
        == 200
    )
    assert ledger.kinds() == [("opted_out", "all_marketing")]


def test_a_portal_link_opens_the_page_for_five_minutes(
    app: Flask, client: FlaskClient, clock: Clock, ledger: Ledger
) -> None:
    before = ledger.rows()
    path = f"/portal/{visit(app, clock, TokenPurpose.PORTAL)}"
    clock.advance(5 * MINUTE)
    opened = client.get(path)
    assert opened.status_code == 303
    clock.advance(30 * MINUTE)  # counted from its opening
    assert "Weekly digest" in client.get(opened.location).text
    assert client.get(path).status_code == 410
    assert ledger.rows() == before


def test_passes_leave_no_trace_in_logs(
    client: FlaskClient, mailed: str, capfd: pytest.CaptureFixture[str]
) -> None:  # I12
    press(client, mailed)
    client.get("/m/broken")
    output = "".join(capfd.readouterr())
    assert mailed not in output
    assert ADDRESS not in output
