"""Nobody is mailed for somebody whose network is hidden by a proxy that is not counted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import structlog

from preference_center.infra.context import EXTENSION_NAME
from preference_center.web.pages.networks import network_of
from tests.infra.mailing import give_mail_server, queued_emails
from tests.rights.pages.acts import form_fields, press, requests_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from flask.testing import FlaskClient

TYPED = "ada@example.com"
FOR_ANYBODY = ["/form", "/rights/access", "/rights/erase", "/rights/object", "/rights/minor"]


@pytest.fixture(autouse=True)
def _mail(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    give_mail_server(app, monkeypatch)


@pytest.fixture
def trust_proxies(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Set TRUSTED_PROXIES, but for whose address the requests of the test have."""

    def trust(count: int) -> None:
        current = app.extensions[EXTENSION_NAME]
        settings = current.settings.model_copy(update={"trusted_proxies": count})
        monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(current, settings=settings))

    return trust


@pytest.fixture
def hidden(client: FlaskClient) -> FlaskClient:
    """A client whose requests come through a proxy that nobody has counted."""
    client.environ_base["HTTP_X_FORWARDED_FOR"] = "8.8.8.8"
    return client


@pytest.mark.parametrize("path", FOR_ANYBODY)
def test_behind_a_proxy_that_is_not_counted_no_form_for_anybody_mails(
    app: Flask, hidden: FlaskClient, path: str
) -> None:
    with structlog.testing.capture_logs() as logs:
        answer = hidden.post(path, data={"address": TYPED})
    assert answer.status_code == 503
    assert queued_emails(app) == []
    assert requests_in(app) == []
    assert [entry["event"] for entry in logs] == ["proxy_not_counted"]
    assert logs[0]["fix"] == "Set TRUSTED_PROXIES"
    assert TYPED not in str(logs)  # I12


@pytest.mark.parametrize("path", FOR_ANYBODY)
def test_without_the_header_they_do(app: Flask, client: FlaskClient, path: str) -> None:
    assert client.post(path, data={"address": TYPED}).status_code in {200, 303}
    assert [email.recipient.exact for email in queued_emails(app)] == [TYPED]


def test_nor_does_a_correction_mail_the_new_address(
    app: Flask, hidden: FlaskClient, proven: str
) -> None:
    answer = press(hidden, f"/rights/correct/{proven}", what="address", address=TYPED)
    assert answer.status_code == 422  # as without a mail server: it is not offered
    assert queued_emails(app) == []


def test_nor_does_an_agent_have_somebody_mailed(
    app: Flask, hidden: FlaskClient, proven: str
) -> None:
    path = f"/rights/agent/{proven}"
    fields = {"name": "Data Rights Ltd", "address": TYPED, "right": "access"}
    answer = hidden.post(path, data=form_fields(hidden, path) | fields)
    assert answer.status_code == 503
    assert queued_emails(app) == []


def test_the_page_says_beforehand_that_no_email_can_be_sent(hidden: FlaskClient) -> None:
    page = hidden.get("/form")
    assert page.status_code == 200
    assert "this service can’t send email at the moment" in page.text
    assert 'name="address"' not in page.text


def test_an_opt_out_is_taken_all_the_same(hidden: FlaskClient, token: str) -> None:  # I1
    answer = hidden.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "trusted, forwarded, remote, status",
    [
        (0, "", "10.0.0.1", 200),  # somebody inside, and no proxy
        (0, "8.8.8.8", "9.9.9.9", 503),
        (1, "8.8.8.8", "8.8.8.8", 200),
        (1, "10.0.0.5", "10.0.0.5", 200),  # somebody inside, through the proxy
        (1, "1.1.1.1, 8.8.8.8", "8.8.8.8", 200),  # what a visitor made up comes first
        (1, "8.8.8.8, 10.0.0.2", "10.0.0.2", 503),  # two proxies, of which one is counted
        (2, "8.8.8.8, 10.0.0.2", "8.8.8.8", 200),
    ],
)
def test_a_network_is_hidden_if_more_proxies_add_to_the_header_than_are_counted(
    client: FlaskClient,
    trust_proxies: Callable[[int], None],
    trusted: int,
    forwarded: str,
    remote: str,
    status: int,
) -> None:
    trust_proxies(trusted)
    answer = client.post(
        "/form",
        data={"address": TYPED},
        headers={"X-Forwarded-For": forwarded} if forwarded else {},
        environ_base={"REMOTE_ADDR": remote},  # as werkzeug's ProxyFix leaves it
    )
    assert answer.status_code == status


@pytest.mark.parametrize(
    "remote, network",
    [
        ("8.8.8.8", "8.8.8.0/24"),
        ("::ffff:8.8.8.8", "8.8.8.0/24"),
        ("2600:1f18:1:2::9", "2600:1f18:1::/48"),
        ("10.0.0.7", None),
        ("127.0.0.1", None),
        ("fd00::1", None),
        ("unix:", None),
        (None, None),
    ],
)
def test_a_network_is_what_a_household_or_office_shares(
    remote: str | None, network: str | None
) -> None:
    assert network_of(remote) == network
