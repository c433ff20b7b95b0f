"""Mail that we send leads to the host of its brand, and forms may come from there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.in_force import put_in_force
from tests.infra.mailing import give_mail_server, queued_emails
from tests.recipients.pages.test_preferences import Form
from tests.web.pages.fixtures import CATALOGUE, MakeToken

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

HOST = "choices.acme.example"


@pytest.fixture
def hosted(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    put_in_force(app, CATALOGUE.replace('name = "Acme"', f'name = "Acme"\nhost = "{HOST}"'))
    give_mail_server(app, monkeypatch)
    return app


def test_a_one_time_link(hosted: Flask, client: FlaskClient) -> None:
    headers = {"Origin": f"https://{HOST}"}  # a proxy may have changed Host
    form = {"address": "jane.doe@example.com"}
    assert client.post("/form", data=form, headers=headers).status_code == 200
    (email,) = queued_emails(hosted)
    assert email.values["link"].startswith(f"https://{HOST}/m/")


def test_a_confirmation(hosted: Flask, client: FlaskClient, make_token: MakeToken) -> None:
    form = Form.of(client, make_token())
    form.ticks.add("offers")
    form.send(client)
    (email,) = queued_emails(hosted)
    assert email.values["link"].startswith(f"https://{HOST}/c/")
