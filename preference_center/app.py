"""`create_app` builds the application from its parts."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import cast

from apiflask import APIFlask
from dkim.dnsplug import get_txt
from flask import Flask, Response, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.middleware.proxy_fix import ProxyFix

from preference_center.catalogue import api as catalogue_api
from preference_center.catalogue import console as catalogue_console
from preference_center.catalogue import store as catalogue_store
from preference_center.catalogue.apply import count_choices, list_topics_in_use, list_topics_sent
from preference_center.contacts import api as contacts_api
from preference_center.contacts import console as contacts_console
from preference_center.contacts import models as contacts_models
from preference_center.contacts.console.timeline import find_bursts, list_requests
from preference_center.contacts.notices import api as policies
from preference_center.contacts.store import contacts_merged, load_locale
from preference_center.cookies import api as cookies_api
from preference_center.cookies import store as cookies_store
from preference_center.cookies.pages import routes as cookie_pages
from preference_center.core.events import uuid7
from preference_center.core.key_rings import parse_ring
from preference_center.core.keys import Keys
from preference_center.core.links import Links
from preference_center.decisions import api as decisions_api
from preference_center.decisions.api import local_filter, stream
from preference_center.destinations import console as destinations_console
from preference_center.destinations import models as destinations_models
from preference_center.destinations.ingest import erased_seen_again
from preference_center.destinations.process import receive_mail
from preference_center.destinations.receive import answer_text
from preference_center.destinations.receive import blueprint as webhooks
from preference_center.destinations.store.destinations import list_sent_topics
from preference_center.inbound import console as inbound_console
from preference_center.inbound import store as inbound_store
from preference_center.inbound.bursts import find_bursts_by_event
from preference_center.inbound.ingest import ingest_received_mail
from preference_center.inbound.opt_outs import SPOOLED_MAIL, record_spooled
from preference_center.inbound.texts import handle_text
from preference_center.infra import commands, metrics
from preference_center.infra import models as infra_models
from preference_center.infra.config import Settings, load_settings
from preference_center.infra.context import (
    CONSOLE_PATH,
    EXTENSION_NAME,
    CookieSessions,
    MemoryRequest,
    Services,
    csrf,
    db,
    migrate,
)
from preference_center.infra.db.clock import DatabaseClock
from preference_center.infra.db.connections import (
    WEB_TIMEOUTS,
    DatabaseTimeouts,
    DeadlineConnection,
    application_name,
    connection_factory,
    follow_on_connect,
    with_defaults,
)
from preference_center.infra.db.transactions import REPLICA
from preference_center.infra.files import ROOT
from preference_center.infra.hooks import require_registered
from preference_center.infra.job_queue import JobQueue
from preference_center.infra.keys.fingerprints import verify_stored_forms
from preference_center.infra.keys.link_keys import DatabaseLinkRegistry
from preference_center.infra.outbox import EmailKind
from preference_center.infra.redis import RedisRateLimiter
from preference_center.infra.telemetry import HEADER as REQUEST_ID_HEADER
from preference_center.infra.telemetry import ROUTE, configure_logs, request_id
from preference_center.integrations.registry import load_integrations
from preference_center.ledger import models as ledger_models
from preference_center.ledger import spool
from preference_center.ledger.feed import api as change_feed
from preference_center.ledger.store.addresses import verify_canonical_forms
from preference_center.ledger.store.suppressions import (
    count_chosen_frequencies,
    list_suppressed_topics,
)
from preference_center.lists import api as lists_api
from preference_center.lists import console as lists_console
from preference_center.lists import store as lists_store
from preference_center.monitoring import console as monitoring_console
from preference_center.monitoring import store as monitoring_store
from preference_center.monitoring.probes import blueprint as probes_blueprint
from preference_center.recipients import api as recipients_api
from preference_center.recipients import console as recipients_console
from preference_center.recipients import store as recipients_store
from preference_center.recipients.emails import LINK_TEXTS
from preference_center.recipients.pages import routes as recipient_pages
from preference_center.recipients.pages.one_click import handle_one_click
from preference_center.recipients.pages.one_time_link import handle_expired_link
from preference_center.reports import console as reports_console
from preference_center.reports import monthly
from preference_center.reports import store as reports_store
from preference_center.rights import console as rights_console
from preference_center.rights import models as rights_models
from preference_center.rights.access_file.other_records import mail_review_period
from preference_center.rights.api import erasures
from preference_center.rights.api import requests as rights
from preference_center.rights.console.timeline import request_entries
from preference_center.rights.email_texts import ADDRESS_TEXTS, ERASURE_TEXTS, RIGHTS_TEXTS
from preference_center.rights.erasure.journal import require_replayed
from preference_center.rights.erasure.store import erase_again_in_tool
from preference_center.rights.pages import routes as rights_pages
from preference_center.rights.requests.moves import merge_requests
from preference_center.senders import api as senders_api
from preference_center.senders import console as senders_console
from preference_center.senders.api import opt_outs, suppressions
from preference_center.web import api as web_api
from preference_center.web import console, languages, pages
from preference_center.web import models as web_models
from preference_center.web.api.bodies import install_openapi
from preference_center.web.api.endpoint import Endpoint, require_complete_database
from preference_center.web.console import audit, sign_in, staff
from preference_center.web.emails import TextsOfEmail, email_texts
from preference_center.web.errors import register_error_pages
from preference_center.web.languages import locale_of

MODELS = (
    infra_models,
    ledger_models,
    web_models,
    destinations_models,
    contacts_models,
    rights_models,
    catalogue_store,
    lists_store,
    cookies_store,
    inbound_store,
    recipients_store,
    monitoring_store,
    reports_store,
    monthly,
)
"""Every module with mapped classes: once imported, `db.metadata` describes the whole schema.

Hot paths execute SQL of their own against these tables and create no ORM objects. There are no
foreign keys where a row is written per opt-out: rows are never deleted there, and each check
costs a look-up and a lock.
"""

_DRIVER_URL = "postgresql+psycopg://"  # the factory of connections has the rest
POOL_RECYCLE_SECONDS = 3600
"""After which a connection is replaced, so that the clock looks at the server."""
POOL_TIMEOUT_SECONDS = 2
"""How long a thread waits for a database connection while all are in use."""
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
CONSOLE_PAGES: tuple[console.Route, ...] = (
    *sign_in.ROUTES,
    *sign_in.OIDC_ROUTES,
    *staff.ROUTES,
    *audit.ROUTES,
    *catalogue_console.ROUTES,
    *destinations_console.ROUTES,
    *contacts_console.ROUTES,
    *lists_console.ROUTES,
    *rights_console.ROUTES,
    *inbound_console.ROUTES,
    *senders_console.ROUTES,
    *recipients_console.ROUTES,
    *monitoring_console.ROUTES,
    *reports_console.ROUTES,
)
"""Every page of the console."""
EMAIL_TEXTS: Mapping[EmailKind, TextsOfEmail] = {
    **LINK_TEXTS,
    **ADDRESS_TEXTS,
    **RIGHTS_TEXTS,
    **ERASURE_TEXTS,
}
"""What each kind of email says."""


class Surface(StrEnum):
    """What an application answers; a web server has one surface (decision 117)."""

    PUBLIC = "public"
    """Everything but the console: what is sent to `/console` finds nothing."""
    CONSOLE = "console"
    """Nothing but the console."""
    ALL = "all"
    """Commands, workers and tests."""


def create_app(
    settings: Settings | None = None,
    *,
    now: Callable[[], datetime] | None = None,
    random: Random | None = None,
    timeouts: DatabaseTimeouts = WEB_TIMEOUTS,
    surface: Surface = Surface.ALL,
) -> APIFlask:
    """The web application; also the context of workers and the CLI, which have other `timeouts`.

    `now` is the time of the database unless it is given. Raises ConfigError when a setting is
    missing or wrong, and for an integration of another package that can't be loaded.
    """
    settings = settings or load_settings()
    load_integrations()
    configure_logs()
    app = APIFlask(
        "preference_center",
        title="Preference center API",  # generators name their packages for it
        version="1",
        enable_openapi=False,  # its pages load third-party scripts: `api` has its own
        json_errors=False,
        root_path=str(Path(__file__).resolve().parent),
        template_folder=str(ROOT / "templates"),
        static_folder="web/static",
    )
    app.request_class = MemoryRequest
    app.after_request(_finish_response)
    if surface is Surface.CONSOLE:
        app.before_request(_refuse_public_pages)
    keys = Keys(parse_ring(settings.digest_keys), parse_ring(settings.encryption_keys))
    clock = now if isinstance(now, DatabaseClock) else DatabaseClock()

    def on_connect(connection: DeadlineConnection) -> None:
        follow_on_connect(connection, keys)
        clock.look(connection)

    app.config.update(
        SECRET_KEY=settings.secret_key,
        MAX_CONTENT_LENGTH=settings.max_body_bytes,
        SQLALCHEMY_DATABASE_URI=_DRIVER_URL,
        SQLALCHEMY_ENGINE_OPTIONS=_pool_options(
            settings, timeouts, settings.conninfo, keys, on_connect
        ),
        SQLALCHEMY_BINDS=_replica_binds(settings, keys, timeouts),
        SESSION_COOKIE_SECURE=settings.public_url.startswith("https://"),
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,  # the console's sessions end; pages have limits of their own
    )
    app.session_interface = CookieSessions()
    # Only the client address: our own host is that of PUBLIC_URL.
    if settings.trusted_proxies:
        fix = ProxyFix(app.wsgi_app, settings.trusted_proxies, 0)
        app.wsgi_app = fix  # type: ignore[method-assign]
    db.init_app(app)
    migrate.init_app(app, db, directory=str(ROOT / "migrations"))
    csrf.init_app(app)
    languages.init_app(app, pages.default_wording, settings.time_zone)
    random = random or Random(secrets.randbits(64))  # noqa: S311 - spreads retries, no secret
    app.extensions[EXTENSION_NAME] = _build_services(settings, keys, now or clock, random, timeouts)
    _register_hooks(app)
    for blueprint in (
        pages.create_blueprint(PAGES, handle_one_click, handle_expired_link),
        web_api.create_blueprint(ENDPOINTS),
        webhooks,
        probes_blueprint,
    ):
        app.register_blueprint(blueprint)
    if surface is not Surface.PUBLIC:
        app.register_blueprint(console.create_blueprint(CONSOLE_PAGES))
    install_openapi(app, settings.public_url)
    commands.register(app)
    spool.register_handler(app, SPOOLED_MAIL, record_spooled)
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


def _register_hooks(app: Flask) -> None:
    """What earlier subjects call in later ones, which they may not import."""
    receive_mail.register(app, ingest_received_mail)
    answer_text.register(app, handle_text)
    erased_seen_again.register(app, erase_again_in_tool)
    contacts_merged.register(app, merge_requests)
    list_topics_in_use.register(app, list_suppressed_topics)
    count_choices.register(app, count_chosen_frequencies)
    list_topics_sent.register(app, list_sent_topics)
    verify_stored_forms.register(app, verify_canonical_forms)
    require_complete_database.register(app, require_replayed)
    locale_of.register(app, load_locale)
    email_texts.register(app, lambda: EMAIL_TEXTS)
    list_requests.register(app, request_entries)
    find_bursts.register(app, find_bursts_by_event)
    mail_review_period.register(app, lambda: inbound_store.RETENTION)
    require_registered(app)


def _pool_options(
    settings: Settings,
    timeouts: DatabaseTimeouts,
    conninfo: str,
    keys: Keys,
    on_connect: Callable[[DeadlineConnection], None],
) -> dict[str, object]:
    """The options of the pool of connections to one server."""
    return {
        "pool_size": settings.database_pool,
        "max_overflow": settings.database_pool,
        "pool_timeout": POOL_TIMEOUT_SECONDS,
        "pool_reset_on_return": None,
        "pool_recycle": POOL_RECYCLE_SECONDS,
        "creator": connection_factory(
            conninfo,
            timeouts,
            on_connect,
            application_name(keys),
            is_pooled=settings.database_pooler == "transaction",
        ),
    }


def _replica_binds(
    settings: Settings, keys: Keys, timeouts: DatabaseTimeouts
) -> dict[str, dict[str, object]]:
    """The replica's engine, if there is one; it takes no writes.

    It may lag behind the primary, so it does not state which digest keys are in use.
    """
    if settings.replica_conninfo is None:
        return {}
    conninfo = with_defaults(settings.replica_conninfo, target_session_attrs="any")
    options = _pool_options(settings, timeouts, conninfo, keys, lambda _: None)
    return {REPLICA: {"url": _DRIVER_URL, **options}}


def _finish_response(response: Response) -> Response:
    """Count the request, and return its id."""
    response.headers[REQUEST_ID_HEADER] = request_id(request.environ)
    if request.url_rule is not None:
        request.environ[ROUTE] = request.url_rule.rule
    seconds = time.perf_counter() - cast("MemoryRequest", request).began
    metrics.observe_request(request.endpoint, response.status_code, seconds)
    return response


def _build_services(
    settings: Settings,
    keys: Keys,
    now: Callable[[], datetime],
    random: Random,
    timeouts: DatabaseTimeouts,
) -> Services:
    links = Links(
        parse_ring(settings.link_keys),
        settings.public_url,
        settings.unsubscribe_mail_domain,
        DatabaseLinkRegistry(),
    )
    return Services(
        lookup_txt=get_txt,
        settings=settings,
        keys=keys,
        links=links,
        queue=JobQueue(settings.redis_url),
        limiter=RedisRateLimiter(settings.redis_url),
        now=now,
        random=random,
        timeouts=timeouts,
        new_id=lambda: uuid7(now(), random.getrandbits(80)),
    )
