"""The endpoints for decisions, opt-outs, consents, links and preferences."""

from __future__ import annotations

from flask import Response

from preference_center.api import decisions
from preference_center.api.authentication import require_message_type, require_scope
from preference_center.api.endpoint import ApiCall, endpoint, json_response
from preference_center.api.parsing import RequestRows
from preference_center.api.preferences import make_portal_link, read_preferences, write_preferences
from preference_center.api.problems import INVALID_ADDRESS, UNKNOWN_TOPIC, WRONG_CHANNEL
from preference_center.api.requests import (
    ConsentRequest,
    DecisionRequest,
    MessageLinkRequest,
    OptOutRequest,
    PortalLinkRequest,
    PreferencesQuery,
    PreferencesUpdate,
)
from preference_center.api.responses import (
    DecisionResponse,
    MessageLinks,
    PortalLink,
    PreferencesResponse,
    PreferencesUpdateResponse,
    RowResult,
)
from preference_center.api.writes import make_links, record_consents, record_opt_outs
from preference_center.context import services
from preference_center.storage.access.api_keys import KeyScope
from preference_center.storage.catalogues import current_catalogue

_SCOPE_PROBLEMS = (INVALID_ADDRESS, UNKNOWN_TOPIC, WRONG_CHANNEL)


@endpoint("POST", "/decisions", KeyScope.CHECK, body=DecisionRequest, response=DecisionResponse)
def post_decisions(call: ApiCall, body: DecisionRequest) -> Response:
    """Check whether a message may be sent to these recipients.

    Check right before sending. Anything other than `"allow": true` means deny.
    """
    catalogue = current_catalogue()
    require_message_type(call.key, body.message_type, catalogue)
    return json_response(
        decisions.decisions_json(
            body, catalogue, services().settings.phone_region, call.origin.now, call.key.name
        )
    )


@endpoint(
    "POST",
    "/opt-outs",
    KeyScope.WRITE,
    rows=OptOutRequest,
    response=RowResult,
    writes=True,
    errors=_SCOPE_PROBLEMS,
)
def post_opt_outs(call: ApiCall, rows: RequestRows[OptOutRequest]) -> Response:
    """Record opt-outs.

    A 200 means that they are committed and count for every decision from now on.
    """
    return record_opt_outs(call, rows, current_catalogue(), services())


@endpoint(
    "POST",
    "/consents",
    KeyScope.WRITE,
    rows=ConsentRequest,
    response=RowResult,
    writes=True,
    errors=_SCOPE_PROBLEMS,
)
def post_consents(call: ApiCall, rows: RequestRows[ConsentRequest]) -> Response:
    """Record consents.

    With `own_act`, which lifts older opt-outs, the key also needs the scope `lift`.
    """
    if any(row.own_act for row in rows.rows):
        require_scope(call.key, KeyScope.LIFT)
    return record_consents(call, rows, current_catalogue(), services())


@endpoint(
    "POST",
    "/links",
    KeyScope.LINKS,
    rows=MessageLinkRequest,
    response=MessageLinks,
    errors=_SCOPE_PROBLEMS,
)
def post_links(call: ApiCall, rows: RequestRows[MessageLinkRequest]) -> Response:
    """Create unsubscribe links and headers for messages.

    Writes nothing but the short links that are asked for.
    """
    return json_response(
        rows.to_json(make_links(rows, call.origin, current_catalogue(), services()))
    )


@endpoint(
    "POST",
    "/portal-links",
    KeyScope.PORTAL,
    body=PortalLinkRequest,
    response=PortalLink,
    errors=(INVALID_ADDRESS,),
)
def post_portal_links(call: ApiCall, body: PortalLinkRequest) -> Response:
    """Create a link to the preference page of a person who is signed in with the company.

    Changes no preferences; the audit log records that the link was created.
    """
    return json_response(make_portal_link(call, body, services()))


# Not GET: an address must not be part of a URL (I12).
@endpoint(
    "POST",
    "/preferences/query",
    KeyScope.PORTAL,
    body=PreferencesQuery,
    response=PreferencesResponse,
    errors=(INVALID_ADDRESS,),
)
def post_preferences_query(call: ApiCall, body: PreferencesQuery) -> Response:
    """Query the preferences of an address."""
    return json_response(read_preferences(call, body, current_catalogue(), services()))


@endpoint(
    "PUT",
    "/preferences",
    KeyScope.PORTAL,
    KeyScope.WRITE,
    body=PreferencesUpdate,
    response=PreferencesUpdateResponse,
    writes=True,
    errors=_SCOPE_PROBLEMS,
)
def put_preferences(call: ApiCall, body: PreferencesUpdate) -> Response:
    """Update the preferences of a person who is signed in with the company.

    To turn anything on, the key also needs the scope `lift`.
    """
    if body.turns_on:
        require_scope(call.key, KeyScope.LIFT)
    return write_preferences(call, body, current_catalogue(), services())
