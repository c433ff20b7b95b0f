"""Somebody on staff at the console, as a browser: with a cookie, CSRF tokens and Referer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from flask import g, has_app_context
from itsdangerous import URLSafeTimedSerializer

from preference_center.core.staff import Role
from preference_center.web.console import accounts
from preference_center.web.console.store import StaffSession

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

HOST = "preferences.example.com"
BASE = f"https://{HOST}"
CSRF = "the raw token in the cookie"


@dataclass(frozen=True, slots=True)
class Staff:
    """Requests of somebody, who is signed in if there is a `session_id`."""

    app: Flask
    session_id: UUID | None = None
    token: str = ""

    def get(self, path: str, **options: Any) -> TestResponse:
        return self._open("GET", path, **options)

    def post(self, path: str, /, **fields: Any) -> TestResponse:
        """Send a form, with its CSRF token. Files are pairs of a stream and a name."""
        return self.send(path, fields | {"csrf_token": csrf_token(self.app)})

    def send(self, path: str, data: dict[str, Any]) -> TestResponse:
        """Send a form as it is."""
        return self._open("POST", path, data=data, headers={"Referer": f"{BASE}/console/"})

    def _open(self, method: str, path: str, **options: Any) -> TestResponse:
        if has_app_context():  # a request in a test's own context shares its `g`
            g.pop("staff", None)
        client = self.app.test_client(use_cookies=False)
        content = {"csrf_token": CSRF} | ({"staff": self.token} if self.token else {})
        headers = {"Cookie": f"console={cookie_of(self.app, content)}"}
        headers |= options.pop("headers", {})
        return client.open(path, method=method, base_url=BASE, headers=headers, **options)


def staff(app: Flask, *roles: Role, name: str = "grace") -> Staff:
    """Somebody who has signed in and has these roles."""
    with app.app_context():
        session = StaffSession(uuid4(), name, frozenset(roles), issuer="test", subject=name)
        return Staff(app, session.id, accounts.begin_session(session))


def nobody(app: Flask) -> Staff:
    return Staff(app)


def cookie_of(app: Flask, content: dict[str, str]) -> str:
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    return str(serializer.dumps(content))


def csrf_token(app: Flask) -> str:
    """What a form of the page has, as Flask-WTF signs it."""
    serializer = URLSafeTimedSerializer(app.secret_key, salt="wtf-csrf-token")  # type: ignore[arg-type]
    return str(serializer.dumps(CSRF))


def words(response: TestResponse) -> str:
    """The text of a page's <main>, in one line."""
    html = response.get_data(as_text=True)
    main = html[html.index("<main") : html.index("</main>")] if "<main" in html else html
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", main)).split())
