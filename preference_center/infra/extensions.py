"""The Flask extensions."""

from __future__ import annotations

from flask import Flask, Request, g, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect

db = SQLAlchemy()
migrate = Migrate()
csrf = CSRFProtect()


CROSS_SITE_COOKIE = "cross_site_cookie"
"""The name in `g`: true where the cookie is set in a frame on a site that may frame the page."""


CONSOLE_PATH = "/console"
"""The path of staff's pages, which have a cookie of their own."""


class CookieSessions(SecureCookieSessionInterface):
    """Flask's sessions, without creating a signer for requests without a cookie.

    Mail clients and senders never send one, and the signer takes a tenth of the time. With
    CROSS_SITE_COOKIE the cookie works in a frame of another site, and only there (CHIPS).
    Staff's pages have a cookie that is sent to no other page.
    """

    def get_cookie_name(self, app: Flask) -> str:
        """`console` on staff's pages, else as configured."""
        return "console" if _is_console() else super().get_cookie_name(app)

    def get_cookie_path(self, app: Flask) -> str:
        """The path below which the cookie is sent."""
        return CONSOLE_PATH if _is_console() else super().get_cookie_path(app)

    def get_cookie_samesite(self, app: Flask) -> str | None:
        """`None` in a frame, else as configured."""
        return "None" if g.get(CROSS_SITE_COOKIE) else super().get_cookie_samesite(app)

    def get_cookie_partitioned(self, app: Flask) -> bool:
        """Whether the cookie is kept apart for each site that frames the page."""
        return bool(g.get(CROSS_SITE_COOKIE)) or super().get_cookie_partitioned(app)

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """The session of a request: a new one if it has no cookie."""
        if "HTTP_COOKIE" not in request.environ:
            return self.session_class()
        return super().open_session(app, request)


def _is_console() -> bool:
    return f"{request.path}/".startswith(f"{CONSOLE_PATH}/")
