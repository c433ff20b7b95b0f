"""A form that was sealed for one page is a stale form on every other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from flask.testing import FlaskClient

from tests.infra.mailing import give_mail_server, link_in, queued_emails
from tests.ledger.tables import Ledger
from tests.recipients.pages.test_preferences import Form
from tests.recipients.pages.test_unsubscribe import undo_of

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

STALE = {
    "preferences": (200, "nothing was saved."),
    "undo": (200, "too late to undo"),
    "confirmation": (404, "doesn’t work"),
}
"""What each page answers to a form of its own that is stale or altered."""


@pytest.fixture
def sealed(
    app: Flask, client: FlaskClient, token: str, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """A form of each page, all for the same link."""
    give_mail_server(app, monkeypatch)
    form = Form.of(client, token)
    form.ticks.add("offers")
    form.send(client)
    (email,) = queued_emails(app)
    return {
        "preferences": form.hidden["state"],
        "undo": undo_of(
            client.post(f"/u/{token}", data={"confirm": "this"}, follow_redirects=True).text
        ),
        "confirmation": link_in(email).removeprefix("/c/"),
    }


def send(client: FlaskClient, token: str, page: str, text: str) -> TestResponse:
    if page == "undo":
        return client.post(f"/u/{token}", data={"undo": text}, follow_redirects=True)
    if page == "confirmation":
        return client.post(f"/c/{text}", data={"confirm": "yes"}, follow_redirects=True)
    hidden = {**Form.of(client, token).hidden, "state": text}
    return client.post(f"/p/{token}", data=hidden, follow_redirects=True)


@pytest.mark.parametrize("page", STALE)
@pytest.mark.parametrize("made_for", STALE)
def test_a_form_counts_on_the_page_that_it_was_sealed_for_only(
    client: FlaskClient,
    token: str,
    sealed: dict[str, str],
    ledger: Ledger,
    made_for: str,
    page: str,
) -> None:  # I5
    before = len(ledger.events())
    answer = send(client, token, page, sealed[made_for])
    status, words = STALE[page]
    if made_for == page:
        assert answer.status_code == 200
        assert words not in answer.text.lower()
        return
    assert answer.status_code == status, answer.text
    assert words in answer.text.lower()
    assert len(ledger.events()) == before
