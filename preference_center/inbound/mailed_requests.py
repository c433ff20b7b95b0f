"""Requests that came by mail: recorded, and answered with the reference and a one-time link."""

from __future__ import annotations

import re
from dataclasses import replace

from preference_center.core.addresses import Channel
from preference_center.core.links.tokens import LIFETIMES, TokenPurpose
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.infra.outbox import EmailKind, OutgoingEmail, insert_emails
from preference_center.rights.requests import handle
from preference_center.rights.rules.decisions import NewRequest, RightsRequest
from preference_center.rights.rules.requests import RequestKind, RequestState
from preference_center.web.emails import may_email
from preference_center.web.languages import SOURCE_LANGUAGE, match_language

SENDER = "sender"
"""The actor of what a mail asks for."""
_REFERENCE = re.compile(r"(?<![0-9A-Za-z])[0-9A-Za-z]{4}(?:-[0-9A-Za-z]{4}){3}(?![0-9A-Za-z])")
_WITH_LINK = {RequestKind.ACCESS, RequestKind.ERASE, RequestKind.RESTRICT}


def find_reference(subject: str) -> str:
    """What reads as the reference of a request in a subject; empty if nothing does."""
    found = _REFERENCE.search(subject)
    return found[0] if found else ""


def open_mailed_request(new: NewRequest) -> RightsRequest:
    """Record what a mail asks for; the reference is mailed, and for a right a one-time link.

    The page of the link asks for the same right, so that pressing its button within a day
    proves who asked. A repeat is mailed nothing. Raises InvalidInput, Unavailable.
    """
    own = replace(new, id=services().new_id())

    def mail_link(connection: Connection, request: RightsRequest) -> None:
        if request.id == own.id and _waits_for_proof(request):
            _insert_link(connection, request, new)

    return handle.open_request(own, SENDER, mail_link)


def _waits_for_proof(request: RightsRequest) -> bool:
    return request.kind in _WITH_LINK and request.state is RequestState.IDENTIFYING


def _insert_link(connection: Connection, request: RightsRequest, new: NewRequest) -> None:
    context = services()
    [address] = new.addresses
    if context.settings.mail_server is None or address.channel is not Channel.EMAIL:
        return
    if not may_email(address):
        return
    now, email_id = context.now(), context.new_id()
    token = context.links.create_one_time_token(TokenPurpose.RIGHTS, address, email_id, now)
    link = f"{context.links.base_url()}/rights/open/{request.kind.value}/{token}"
    email = OutgoingEmail(
        id=email_id,
        kind=EmailKind.RIGHTS_LINK,
        recipient=address,
        language=match_language(request.language) or SOURCE_LANGUAGE,
        brand=None,
        values={"link": link, "right": request.kind.value},
        expires_at=now + LIFETIMES[TokenPurpose.RIGHTS],
        unproven=True,
    )
    insert_emails(connection, [email])
