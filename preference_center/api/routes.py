"""The first operations: decisions, opt-outs, consents, links, and a page of the company's."""

from __future__ import annotations

from flask import Response

from preference_center.api import decisions
from preference_center.api.authentication import require_message_type, require_scope
from preference_center.api.endpoint import Call, operation, reply
from preference_center.api.parsing import Rows
from preference_center.api.preferences import portal_link, read_preferences, write_preferences
from preference_center.api.problems import UNKNOWN_TOPIC, UNUSABLE_ADDRESS, WRONG_CHANNEL
from preference_center.api.requests import (
    Consent,
    LinkRequest,
    OptOut,
    PortalRequest,
    PreferencesChange,
    PreferencesQuery,
    Question,
)
from preference_center.api.responses import (
    DecisionAnswer,
    MessageLinks,
    PortalLink,
    PreferencesChanged,
    PreferencesShown,
    RowRecorded,
)
from preference_center.api.writes import make_links, record_consents, record_opt_outs
from preference_center.extensions import services
from preference_center.storage.access.api_keys import KeyScope
from preference_center.storage.catalogues import current_catalogue

_OF_SCOPES = (UNUSABLE_ADDRESS, UNKNOWN_TOPIC, WRONG_CHANNEL)


@operation("POST", "/decisions", KeyScope.CHECK, body=Question, answer=DecisionAnswer)
def post_decisions(call: Call, body: Question) -> Response:
    """May this message go to these recipients?

    Ask right before sending. Anything but a readable `"allow": true` means no.
    """
    catalogue = current_catalogue()
    require_message_type(call.key, body.message_type, catalogue)
    return reply(
        decisions.answer(body, catalogue, services().settings.phone_region, call.origin.now)
    )


@operation(
    "POST",
    "/opt-outs",
    KeyScope.WRITE,
    rows=OptOut,
    answer=RowRecorded,
    writes=True,
    refuses=_OF_SCOPES,
)
def post_opt_outs(call: Call, rows: Rows[OptOut]) -> Response:
    """These people said no.

    A 200 means that it is committed and counts for every decision from now on.
    """
    return record_opt_outs(call, rows, current_catalogue(), services())


@operation(
    "POST",
    "/consents",
    KeyScope.WRITE,
    rows=Consent,
    answer=RowRecorded,
    writes=True,
    refuses=_OF_SCOPES,
)
def post_consents(call: Call, rows: Rows[Consent]) -> Response:
    """These people said yes.

    With `own_act`, which lifts older opt-outs, the key needs the scope `lift` too.
    """
    if any(row.own_act for row in rows.rows):
        require_scope(call.key, KeyScope.LIFT)
    return record_consents(call, rows, current_catalogue(), services())


@operation(
    "POST", "/links", KeyScope.LINKS, rows=LinkRequest, answer=MessageLinks, refuses=_OF_SCOPES
)
def post_links(call: Call, rows: Rows[LinkRequest]) -> Response:
    """Links and headers for these messages.

    Writes nothing.
    """
    return reply(rows.answer(make_links(rows, call.origin, current_catalogue(), services())))


@operation(
    "POST",
    "/portal-links",
    KeyScope.PORTAL,
    body=PortalRequest,
    answer=PortalLink,
    refuses=(UNUSABLE_ADDRESS,),
)
def post_portal_links(call: Call, body: PortalRequest) -> Response:
    """A way to the page for a person who is signed in with the company.

    Changes nothing; that the link was made is recorded in the audit.
    """
    return reply(portal_link(call, body, services()))


# Not GET: an address must not stand in a URL (I12).
@operation(
    "POST",
    "/preferences/query",
    KeyScope.PORTAL,
    body=PreferencesQuery,
    answer=PreferencesShown,
    refuses=(UNUSABLE_ADDRESS,),
)
def post_preferences_query(_: Call, body: PreferencesQuery) -> Response:
    """What does this address receive?"""
    return reply(read_preferences(body, current_catalogue(), services()))


@operation(
    "PUT",
    "/preferences",
    KeyScope.PORTAL,
    KeyScope.WRITE,
    body=PreferencesChange,
    answer=PreferencesChanged,
    writes=True,
    refuses=_OF_SCOPES,
)
def put_preferences(call: Call, body: PreferencesChange) -> Response:
    """A person who is signed in with the company changed this.

    To turn anything on, the key needs the scope `lift` too.
    """
    if body.turns_on:
        require_scope(call.key, KeyScope.LIFT)
    return write_preferences(call, body, current_catalogue(), services())
