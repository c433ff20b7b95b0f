"""A page with own words in another language: what was written stays, and nothing is recorded."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.infra.mailing import give_mail_server, queued_emails
from tests.ledger.tables import Ledger
from tests.rights.pages.acts import requests_in

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

TYPED = {"address": "jane.doe@example", "text": "I wrote\nfor an <hour>.", "show": "it"}
PATHS = [
    pytest.param("/rights/object", TYPED, id="objection"),
    pytest.param("/rights/complaint", TYPED, id="complaint"),
    pytest.param("/rights/complaint/{visit}", {"text": TYPED["text"], "show": "it"}, id="visit"),
    pytest.param("/rights/dont_sell_or_share", {"address": "x@", "show": "it"}, id="sale"),
    pytest.param("/rights/minor", {**TYPED, "contact": "bo@example.com"}, id="minor"),
    pytest.param(
        "/rights/agent/{visit}",
        {**TYPED, "name": "Data Rights Ltd", "right": "close", "proof_kind": "heir"},
        id="agent",
    ),
    pytest.param(
        "/rights/correct/{visit}",
        {"text": TYPED["text"], "what": "words", "show": "it"},
        id="correction",
    ),
]


@pytest.fixture(autouse=True)
def _mail(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    give_mail_server(app, monkeypatch)


@pytest.mark.parametrize("path, typed", PATHS)
def test_what_was_written_is_shown_in_the_other_language(
    app: Flask,
    client: FlaskClient,
    proven: str,
    ledger: Ledger,
    subscribed: Callable[..., Any],
    path: str,
    typed: dict[str, str],
) -> None:  # I7
    before = ledger.kinds()
    shown = client.post(f"{path.format(visit=proven)}?lang=it", data=typed)
    assert shown.status_code == 200
    assert '<html lang="it"' in shown.text
    assert 'id="problem"' not in shown.text
    for name in {*typed} & {"address", "contact", "name"}:
        assert f'name="{name}" value="{typed[name]}"' in shown.text
    if "text" in typed:
        assert ">I wrote\nfor an &lt;hour&gt;.</textarea>" in shown.text
    if "right" in typed:
        assert re.search(r'value="close" checked', shown.text)
        assert re.search(r'value="heir" checked', shown.text)
    assert (ledger.kinds(), requests_in(app), queued_emails(app)) == (before, [], [])
    assert subscribed()


@pytest.mark.parametrize("path, typed", PATHS)
def test_its_buttons_post_the_form_to_the_page_itself(
    client: FlaskClient, proven: str, path: str, typed: dict[str, str]
) -> None:
    path = path.format(visit=proven)
    page = client.get(path, query_string={"what": typed["what"]} if "what" in typed else {}).text
    assert f'formnovalidate formaction="{path}?lang=it"' in page
    assert '<form id="answer" method="post"' in page


def test_the_switch_costs_nothing_of_a_networks_limit(client: FlaskClient) -> None:
    for _ in range(40):
        assert client.post("/rights/minor", data=TYPED).status_code == 200
