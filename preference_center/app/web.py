"""`create_app` builds the web application from its parts."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from random import Random
from typing import cast

from apiflask import APIFlask
from flask import Response, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.middleware.proxy_fix import ProxyFix

from preference_center.app.service import ROOT_PATH, STATIC, TEMPLATES, configure
from preference_center.catalogue import api as catalogue_api
from preference_center.contacts import api as contacts_api
from preference_center.contacts.notices import api as policies
from preference_center.cookies import api as cookies_api
from preference_center.cookies.pages import routes as cookie_pages
from preference_center.decisions import api as decisions_api
from preference_center.decisions.api import local_filter, stream
from preference_center.destinations.receive import blueprint as webhooks
from preference_center.infra import metrics
from preference_center.infra.config import Settings, load_settings
from preference_center.infra.context import (
    CONSOLE_PATH,
    CookieSessions,
    MemoryRequest,
)
from preference_center.infra.db.connections import (
    WEB_TIMEOUTS,
    DatabaseTimeouts,
)
from preference_center.infra.hooks import register_now, require_registered
from preference_center.infra.telemetry import HEADER as REQUEST_ID_HEADER
from preference_center.infra.telemetry import ROUTE, request_id
from preference_center.ledger.feed import api as change_feed
from preference_center.lists import api as lists_api
from preference_center.monitoring.probes import blueprint as probes_blueprint
from preference_center.recipients import api as recipients_api
from preference_center.recipients.pages import routes as recipient_pages
from preference_center.recipients.pages.one_click import handle_one_click
from preference_center.recipients.pages.one_time_link import handle_expired_link
from preference_center.rights.api import erasures
from preference_center.rights.api import requests as rights
from preference_center.rights.pages import routes as rights_pages
from preference_center.senders import api as senders_api
from preference_center.senders.api import opt_outs, suppressions
from preference_center.web import pages
from preference_center.web.api import blueprint as api
from preference_center.web.api.bodies import install_openapi
from preference_center.web.api.endpoint import Endpoint
from preference_center.web.errors import register_error_pages

PAGES: tuple[pages.Route, ...] = (
    *recipient_pages.ROUTES,
    *cookie_pages.ROUTES,
    *rights_pages.ROUTES,
)
"""Every page for recipients."""
ENDPOINTS: tuple[Endpoint, ...] = (
    *catalogue_api.ROUTES,
    *change_feed.ROUTES,
    *decisions_api.ROUTES,
    *stream.ROUTES,
    *lists_api.ROUTES,
    *contacts_api.ROUTES,
    *local_filter.ROUTES,
    *policies.ROUTES,
    *cookies_api.ROUTES,
    *erasures.ROUTES,
    *rights.ROUTES,
    *senders_api.ROUTES,
    *opt_outs.ROUTES,
    *recipients_api.ROUTES,
    *suppressions.ROUTES,
)
"""Every endpoint of /v1."""


class Surface(StrEnum):
    """What an application answers; a web server has one surface (decision 96)."""

    PUBLIC = "public"
    """Everything but the console: what is sent to `/console` finds nothing."""
    CONSOLE = "console"
    """Nothing but the console."""
    ALL = "all"
    """Tests and the demo."""


def create_app(
    settings: Settings | None = None,
    *,
    now: Callable[[], datetime] | None = None,
    random: Random | None = None,
    timeouts: DatabaseTimeouts = WEB_TIMEOUTS,
    surface: Surface = Surface.ALL,
) -> APIFlask:
    """The web application; in tests also the context of workers and commands.

    `now` is the time of the database unless it is given. Raises ConfigError when a setting is
    missing or wrong, and for an integration of another package that can't be loaded.
    """
    settings = settings or load_settings()
    app = APIFlask(
        "preference_center",
        title="Preference center API",  # generators name their packages for it
        version="1",
        enable_openapi=False,  # its pages load third-party scripts: `api` has its own
        json_errors=False,
        root_path=ROOT_PATH,
        template_folder=TEMPLATES,
        static_folder=STATIC,
    )
    app.request_class = MemoryRequest
    app.after_request(_finish_response)
    if surface is Surface.CONSOLE:
        app.before_request(_refuse_public_pages)
    configure(app, settings, now=now, random=random, timeouts=timeouts)
    register_now(app)  # a request has no time for it
    app.session_interface = CookieSessions()
    # Only the client address: our own host is that of PUBLIC_URL.
    if settings.trusted_proxies:
        fix = ProxyFix(app.wsgi_app, settings.trusted_proxies, 0)
        app.wsgi_app = fix  # type: ignore[method-assign]
    for blueprint in (
        pages.create_blueprint(PAGES, handle_one_click, handle_expired_link),
        api.create_blueprint(ENDPOINTS),
        webhooks,
        probes_blueprint,
    ):
        app.register_blueprint(blueprint)
    if surface is not Surface.PUBLIC:
        from preference_center.app import console  # noqa: PLC0415 - the process of public pages saves it

        console.register(app)
        require_registered(app)
    install_openapi(app, settings.public_url)
    register_error_pages(app)
    return app


def _refuse_public_pages() -> ResponseReturnValue | None:
    """Answer 404 to all but the console and the probes; the routes stay, since its pages link."""
    if request.path == "/":
        return redirect(url_for("console.home"))
    is_ours = f"{request.path}/".startswith((f"{CONSOLE_PATH}/", "/static/"))
    if not is_ours and request.blueprint != "probes":
        abort(404)
    return None


def _finish_response(response: Response) -> Response:
    """Count the request, and return its id."""
    response.headers[REQUEST_ID_HEADER] = request_id(request.environ)
    if request.url_rule is not None:
        request.environ[ROUTE] = request.url_rule.rule
    seconds = time.perf_counter() - cast("MemoryRequest", request).began
    metrics.observe_request(request.endpoint, response.status_code, seconds)
    return response
