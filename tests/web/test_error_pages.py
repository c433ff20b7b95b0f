from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from preference_center.app.web import create_app
from preference_center.core.errors import Unavailable
from preference_center.core.staff import Role
from preference_center.web.pages import SECURITY_HEADERS
from tests.environment import settings_for
from tests.web.console.staff import staff

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

NOWHERE = "127.0.0.1:1"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/u/broken", "/p/broken", "/m/broken", "/w/broken"])
def test_a_bad_link_while_the_database_is_away_asks_to_try_again_and_is_not_logged(
    path: str, method: str, capfd: pytest.CaptureFixture[str]
) -> None:  # I12
    app = create_app(settings_for(f"postgresql://no:one@{NOWHERE}/x", f"redis://{NOWHERE}/0"))
    answer = app.test_client().open(path, method=method)
    if answer.status_code == 405:  # no page there
        return
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "broken" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "method, path, status",
    [("GET", "/nothing", 404), ("PROPFIND", "/u/token", 405), ("DELETE", "/form", 405)],
)
def test_a_fault_page_is_as_guarded_as_every_page(
    method: str, path: str, status: int
) -> None:  # RULES C7
    app = create_app(settings_for(f"postgresql://no:one@{NOWHERE}/x", f"redis://{NOWHERE}/0"))
    answer = app.test_client().open(path, method=method)
    assert answer.status_code == status
    assert SECURITY_HEADERS.items() <= dict(answer.headers).items()


@pytest.mark.parametrize(
    "path, language, heading",
    [
        ("/nothing", "en", "Page not found"),
        ("/nothing", "de", "Seite nicht gefunden"),
    ],
)
def test_an_address_that_is_no_page_is_said_to_be_none(
    client: FlaskClient, path: str, language: str, heading: str
) -> None:
    answer = client.get(path, headers={"Accept-Language": language})
    assert answer.status_code == 404
    assert f"<title>{heading}" in answer.text
    assert "something went wrong" not in answer.text


@pytest.mark.parametrize("path", ["/form", "/v1/decisions", "/nowhere"])
def test_a_host_that_is_none_is_refused(client: FlaskClient, path: str) -> None:
    answer = client.get(path, headers={"Host": ".3.4"})
    assert answer.status_code == 400
    assert answer.mimetype == ("application/problem+json" if "v1" in path else "text/plain")


@pytest.mark.parametrize(
    "method, text", [("GET", "can’t show this page"), ("POST", "couldn’t save that")]
)
def test_without_the_database_it_says_whether_something_was_to_be_saved(
    method: str, text: str
) -> None:  # I1
    app = create_app(settings_for(f"postgresql://no:one@{NOWHERE}/x", f"redis://{NOWHERE}/0"))
    answer = app.test_client().open("/u/broken", method=method, data={"confirm": "this"})
    assert answer.status_code == 503
    assert text in answer.text


@pytest.mark.parametrize(
    "error, status, says",
    [
        (Unavailable("the database is away"), 503, "can’t be done at the moment"),
        (RuntimeError("planted"), 500, "Something went wrong here"),
    ],
)
@pytest.mark.parametrize("where", ["list_keys", "find_session"])
def test_an_error_in_the_console_has_a_page_of_the_console(
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
    says: str,
    where: str,
) -> None:
    who = staff(app, Role.OPERATOR)
    module = "web.api.keys" if where == "list_keys" else "web.console.frame"

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(f"preference_center.{module}.{where}", fail)
    for path, answer in [
        ("/console/senders", who.get("/console/senders")),
        ("/console/senders/keys/shop/revoke", who.post("/console/senders/keys/shop/revoke")),
    ]:
        assert answer.status_code == status, path
        html = answer.get_data(as_text=True)
        assert says in html
        assert "Email me a link" not in html
        assert "console.css" in html
        assert "planted" not in html
        assert answer.headers["Cache-Control"] == "no-store"
