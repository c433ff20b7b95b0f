"""The pages of an erased person: answered as anybody's, and nothing readable is stored (I6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.rights.rules.requests import Extent
from tests.infra.mailing import give_mail_server, queued_emails
from tests.rights.erasing import erase, row, rows, store, tables_with

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from tests.web.pages.fixtures import MakeToken

JANE = parse_address("jane.doe@example.com", Channel.EMAIL)


@pytest.fixture(params=list(Extent), autouse=True)
def _erased(app: Flask, request: pytest.FixtureRequest) -> Iterator[None]:
    with app.app_context():
        store(JANE)
        erase(JANE, extent=request.param)
        yield


def opt_outs() -> int:
    return int(row("SELECT count(*) FROM event WHERE kind = 'opted_out'")[0])


def test_a_one_click_is_accepted_and_recorded_by_digest(client: FlaskClient, token: str) -> None:
    answer = client.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert opt_outs() == 1
    assert tables_with(JANE.exact) == set()


def test_the_button_of_an_old_link_works(client: FlaskClient, token: str) -> None:
    assert client.get(f"/u/{token}").status_code == 200
    assert (
        client.post(f"/u/{token}", data={"confirm": "all"}, follow_redirects=True).status_code
        == 200
    )
    assert opt_outs() == 1
    assert tables_with(JANE.exact) == set()


def test_looking_at_an_old_link_writes_nothing(client: FlaskClient, token: str) -> None:  # I7
    before = rows("SELECT * FROM address")
    for path in (f"/u/{token}", f"/p/{token}"):
        assert client.get(path).status_code == 200
    assert rows("SELECT * FROM address") == before


def test_the_form_mails_a_link_as_to_anybody(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, make_token: MakeToken
) -> None:
    """So nobody learns who was erased, and the person can come back."""
    give_mail_server(app, monkeypatch)
    erased = client.post("/form", data={"address": JANE.exact})
    unknown = client.post("/form", data={"address": "jack.poe@example.com"})
    assert erased.text.replace(JANE.exact, "jack.poe@example.com") == unknown.text
    assert {email.recipient.exact for email in queued_emails(app)} == {
        JANE.exact,
        "jack.poe@example.com",
    }
    assert tables_with(JANE.exact) <= {"outgoing_mail"}
