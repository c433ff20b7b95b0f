"""`/v1` of links, opt-outs, consents and suppressions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlencode

from flask import Response
from pydantic import Field

from preference_center.catalogue import Catalogue
from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Address
from preference_center.core.links import FURTHER_ADDRESS_PARAMETER, list_unsubscribe_headers
from preference_center.core.links.tokens import LIFETIMES, Link, TokenPurpose
from preference_center.infra import audit
from preference_center.infra.context import Services, services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.rules import RequestOrigin, validate_marketing_scope
from preference_center.senders.api.opt_outs import AddressRow, parse_row_address
from preference_center.web.api.bodies import (
    LanguageTag,
    MessageId,
    ResponseBody,
    ScopeName,
)
from preference_center.web.api.endpoint import ApiCall, endpoint, json_response
from preference_center.web.api.keys import KeyScope
from preference_center.web.api.parsing import RequestRows
from preference_center.web.api.problems import INVALID_ADDRESS, SCOPE_PROBLEMS, FieldErrors
from preference_center.web.languages import LANGUAGE_PARAMETER, match_language
from preference_center.web.pages.mailed_links import insert_short_links


class MessageLinkRequest(AddressRow):
    """Links for one message."""

    scope: ScopeName
    message_id: MessageId = ""
    short: bool = False


class ListUnsubscribeHeaders(ResponseBody):
    """The headers of RFC 8058, to be copied into the message unchanged."""

    list_unsubscribe: str = Field(alias="List-Unsubscribe")
    list_unsubscribe_post: Literal["List-Unsubscribe=One-Click"] = Field(
        alias="List-Unsubscribe-Post"
    )


class MessageLinks(ResponseBody):
    """The unsubscribe links and headers of one message."""

    token: str
    unsubscribe_url: str
    preferences_url: str
    headers: ListUnsubscribeHeaders
    short_url: str | None = None


class PortalAddress(AddressRow):
    """A further address of the person who is signed in with the company."""


class PortalLinkRequest(AddressRow):
    """A link to the preference page of a person who is signed in with the company."""

    also: list[PortalAddress] = Field(default_factory=list, max_length=3)
    language: LanguageTag | None = None


class PortalLink(ResponseBody):
    """A link to the preference page of one person."""

    url: str
    expires_at: datetime


@endpoint(
    "POST",
    "/links",
    KeyScope.LINKS,
    rows=MessageLinkRequest,
    response=MessageLinks,
    errors=SCOPE_PROBLEMS,
)
def post_links(call: ApiCall, rows: RequestRows[MessageLinkRequest]) -> Response:
    """Create unsubscribe links and headers for messages.

    Writes nothing but the short links that are asked for.
    """
    return json_response(
        rows.to_json(make_links(rows, call.origin, current_catalogue(), services()))
    )


def make_links(
    rows: RequestRows[MessageLinkRequest],
    origin: RequestOrigin,
    catalogue: Catalogue,
    services: Services,
) -> list[dict[str, Any]]:
    """Links and headers for each message, and the short link where it is asked for.

    Raises InvalidBody with all errors.
    """
    errors = FieldErrors()
    results: list[dict[str, Any]] = []
    links = services.links
    for pointer, row in rows.with_pointers():
        address = parse_row_address(errors, pointer, row)
        if address is None:
            continue
        scope = errors.collect(
            f"{pointer}/scope", validate_marketing_scope, address, row.scope, catalogue
        )
        if scope is None:
            continue
        link = Link(address, scope, row.message_id, origin.now)
        token = errors.collect(f"{pointer}/message_id", links.create_token, link)
        if token is not None:
            digest = services.keys.exact_digest(address) if links.mail_domain else None
            host = catalogue.host_for_scope(scope)
            results.append(
                {
                    "token": token,
                    "unsubscribe_url": links.unsubscribe_url(token, host),
                    "preferences_url": links.preferences_url(token, host),
                    "headers": list_unsubscribe_headers(links, link, digest, host, token),
                }
            )
    errors.raise_if_any()
    wanted = [
        (result, catalogue.host_for_scope(row.scope))
        for row, result in zip(rows.rows, results, strict=True)
        if row.short
    ]
    _add_short_links(wanted, origin, services)
    return results


def _add_short_links(
    wanted: Sequence[tuple[dict[str, Any], str | None]], origin: RequestOrigin, services: Services
) -> None:
    """Store a short link to the unsubscribe page of each; nothing else is written."""
    if not wanted:
        return
    paths = [f"u/{result['token']}" for result, _ in wanted]
    codes = run_in_transaction(lambda connection: insert_short_links(connection, paths, origin.now))
    for (result, host), code in zip(wanted, codes, strict=True):
        result["short_url"] = services.links.short_url(code, host)


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


def make_portal_link(call: ApiCall, request: PortalLinkRequest, services: Services) -> str:
    """A URL that opens the page of this address, and of further ones, for five minutes.

    The audit log records who requested it, with the id of the one-time token of each address; the
    evidence of every event recorded on the page for that address has that id as its message.
    Raises InvalidBody with all errors.
    """
    address, *others = _parse_portal_addresses(request)
    now, token_id = services.now(), services.new_id()
    other_ids = [services.new_id() for _ in others]
    url = services.links.one_time_url(TokenPurpose.PORTAL, address, token_id, now)
    actor = call.key.actor

    def audit_each(connection: Connection) -> None:
        for each in (token_id, *other_ids):
            detail = {"one_time_token": str(each)}
            audit.insert_audit_entry(connection, now, actor, "portal_link.created", detail)

    run_in_transaction(audit_each)
    query = [
        (
            FURTHER_ADDRESS_PARAMETER,
            services.links.create_one_time_token(TokenPurpose.PORTAL, each, other_id, now),
        )
        for each, other_id in zip(others, other_ids, strict=True)
    ]
    if language := match_language(request.language):
        query.append((LANGUAGE_PARAMETER, language))
    if query:
        url = f"{url}?{urlencode(query)}"
    return json.dumps(
        {"url": url, "expires_at": (now + LIFETIMES[TokenPurpose.PORTAL]).isoformat()}
    )


def _parse_portal_addresses(request: PortalLinkRequest) -> list[Address]:
    """The address and the further ones. Raises InvalidBody with all errors."""
    errors = FieldErrors()
    others = [(f"/also/{index}", each) for index, each in enumerate(request.also)]
    found = [parse_row_address(errors, *each) for each in [("", request), *others]]
    errors.raise_if_any()
    return [address for address in found if address]


ROUTES = (post_links, post_portal_links)
