"""The routes: authenticate, read, hand over, answer."""

from __future__ import annotations

from flask import Blueprint, Response, abort
from werkzeug.exceptions import HTTPException

from preference_center.domain.requests import Origin
from preference_center.errors import CatalogueError, InvalidInput, Unavailable
from preference_center.extensions import csrf, services
from preference_center.senders import decisions, problems
from preference_center.senders.bodies import (
    Consent,
    LinkRequest,
    OptOut,
    PortalRequest,
    PreferencesChange,
    PreferencesQuery,
    Question,
    read_body,
    read_rows,
)
from preference_center.senders.permissions import (
    require_message_type,
    require_scope,
    sender_with,
)
from preference_center.senders.portal import portal_link, read_preferences, write_preferences
from preference_center.senders.writes import make_links, record_consents, record_opt_outs
from preference_center.storage.api_keys import ApiKey, KeyScope
from preference_center.storage.catalogues import current_catalogue

PREFIX = "/v1"

blueprint = Blueprint("senders", __name__)
csrf.exempt(blueprint)  # a bearer key is never sent by a browser on its own

blueprint.register_error_handler(problems.Refused, problems.respond_to_refused)
blueprint.register_error_handler(InvalidInput, problems.respond_to_invalid)
blueprint.register_error_handler(CatalogueError, problems.respond_to_unavailable)
blueprint.register_error_handler(Unavailable, problems.respond_to_unavailable)
blueprint.register_error_handler(HTTPException, problems.respond_to_http)
blueprint.register_error_handler(Exception, problems.respond_to_unexpected)


@blueprint.post(f"{PREFIX}/decisions")
def post_decisions() -> Response:
    """May this message go to these recipients?"""
    key = sender_with(KeyScope.CHECK)
    question = read_body(Question)
    catalogue = current_catalogue()
    require_message_type(key, question.message_type, catalogue)
    region = services().settings.phone_region
    return _json(decisions.answer(question, catalogue, region, services().now()))


@blueprint.post(f"{PREFIX}/opt-outs")
def post_opt_outs() -> Response:
    """These people said no."""
    key = sender_with(KeyScope.WRITE)
    rows = read_rows(OptOut)
    return _json(rows.answer(record_opt_outs(rows, _origin(key), current_catalogue(), services())))


@blueprint.post(f"{PREFIX}/consents")
def post_consents() -> Response:
    """These people said yes."""
    key = sender_with(KeyScope.WRITE)
    rows = read_rows(Consent)
    if any(row.own_act for row in rows.rows):
        require_scope(key, KeyScope.LIFT)
    return _json(rows.answer(record_consents(rows, _origin(key), current_catalogue(), services())))


@blueprint.post(f"{PREFIX}/links")
def post_links() -> Response:
    """Links and headers for these messages; writes nothing."""
    key = sender_with(KeyScope.LINKS)
    rows = read_rows(LinkRequest)
    return _json(rows.answer(make_links(rows, _origin(key), current_catalogue(), services())))


@blueprint.post(f"{PREFIX}/portal-links")
def post_portal_links() -> Response:
    """A way to the page for a person who is signed in with the company; writes nothing."""
    sender_with(KeyScope.PORTAL)
    return _json(portal_link(read_body(PortalRequest), services()))


@blueprint.post(f"{PREFIX}/preferences/query")
def post_preferences_query() -> Response:
    """What does this address receive? Not GET: an address must not stand in a URL (I12)."""
    sender_with(KeyScope.PORTAL)
    return _json(read_preferences(read_body(PreferencesQuery), current_catalogue(), services()))


@blueprint.put(f"{PREFIX}/preferences")
def put_preferences() -> Response:
    """A person who is signed in with the company changed this."""
    key = sender_with(KeyScope.PORTAL)
    require_scope(key, KeyScope.WRITE)
    change = read_body(PreferencesChange)
    if change.turns_on:
        require_scope(key, KeyScope.LIFT)
    return _json(write_preferences(change, _origin(key), current_catalogue(), services()))


@blueprint.get("/problems/<slug>")
def get_problem(slug: str) -> Response:
    """What a problem's type means, for a person who follows the URI (RFC 9457 3.1.1)."""
    problem = problems.PROBLEMS.get(slug) or abort(404)
    return Response(f"{problem.title}.\n{problem.remedy}\n", mimetype="text/plain")


def _origin(key: ApiKey) -> Origin:
    return Origin("senders", key.actor, services().now())


def _json(body: str | bytes) -> Response:
    response = Response(body, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
