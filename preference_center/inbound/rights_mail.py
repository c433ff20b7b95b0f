"""This module handles data-subject requests that come by mail.

They come to a mailbox for them, or as a reply to marketing. Each is recorded, and answered with the
reference and a one-time link. From is never trusted as identification, so such a request has none:
by the link the person proves their address. What a mail can bring about by itself is a pause: an
objection, or the report of a minor.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import InvalidAddress, InvalidInput, UnknownRequest
from preference_center.core.links.tokens import LIFETIMES, TokenPurpose
from preference_center.core.mime import parse_addresses, usable_addresses
from preference_center.inbound.rules.rights_words import WrittenByPerson
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.infra.outbox import EmailKind, OutgoingEmail, insert_emails
from preference_center.rights.requests import handle
from preference_center.rights.requests.steps import find_request_by_reference
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.new_request import MAX_REPORT, MAX_TEXT, NewRequest
from preference_center.rights.rules.requests import Extent, RequestKind, RequestVia
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
    return request.kind in _WITH_LINK and request.state.rules.was_asked


def _insert_link(connection: Connection, request: RightsRequest, new: NewRequest) -> None:
    context = services()
    [address] = new.addresses
    if context.settings.mail_server is None or not address.channel.rules.is_email:
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


RATE = "3 per hour; 10 per day"
"""Requests of one mailbox that are answered; beyond it a person reads the mail."""


_OF_REPLIES = {RequestKind.ACCESS, RequestKind.ERASE, RequestKind.RESTRICT}


_OPT_OUTS = {RequestKind.OBJECT, RequestKind.DONT_SELL_OR_SHARE}


_MAX_SENDER = 320


log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RightsMailResult:
    """What became of a mail: whether a request was opened, and whether a person must read it."""

    opened: bool = False
    needs_review: bool = False


def handle_rights_mail(
    written: WrittenByPerson,
    received_at: datetime,
    *,
    for_rights: bool,
    about: Address | None = None,
    objects: bool = False,
) -> RightsMailResult:
    """Open the request that a person's mail makes, once in a conversation.

    `for_rights` is whether it was sent to a mailbox for requests; in replies to marketing only
    clear words open one. `about` is the address that the mail is proven to answer from, if
    it is; else it is From. `objects` is whether an objection was recorded. Raises Unavailable.
    """
    sender = about or _parse(written.sender)
    if sender is None:
        return RightsMailResult(needs_review=for_rights)
    if _belongs_to_request(written.subject):
        return RightsMailResult(needs_review=True)
    new = _new_request(written, sender, received_at, for_rights=for_rights, objects=objects)
    if new is None:
        return RightsMailResult(needs_review=for_rights or written.is_about_minor)
    context = services()
    mailbox = context.keys.digest(sender.mailbox).hex()
    if not context.limiter.hit(RATE, "rights-mail", mailbox):
        return RightsMailResult(needs_review=True)
    request = open_mailed_request(new)
    log.info("rights_mail_opened", request=str(request.id), kind=request.kind)
    return RightsMailResult(opened=True, needs_review=len(written.text) > _limit(new.kind))


def _new_request(
    written: WrittenByPerson,
    sender: Address,
    received_at: datetime,
    *,
    for_rights: bool,
    objects: bool,
) -> NewRequest | None:
    if written.is_about_minor:
        return _report(written, sender, received_at)
    kind = written.right
    if kind is None and for_rights:
        kind = RequestKind.OBJECT if objects else RequestKind.COMPLAINT
    if kind is None or not (for_rights or kind in _OF_REPLIES | _OPT_OUTS):
        return None
    return NewRequest(
        kind=kind,
        via=RequestVia.EMAIL,
        language="",
        addresses=(sender,),
        extent=Extent.ACCOUNT if kind is RequestKind.ERASE else None,
        received_at=received_at,
        identity_asked=kind in _OF_REPLIES,
        text="" if kind in _OPT_OUTS else written.text[:MAX_TEXT],
    )


def _report(written: WrittenByPerson, sender: Address, received_at: datetime) -> NewRequest | None:
    """The report of a minor: about the address in the text, else about the writer's own."""
    named = [*dict.fromkeys(filter(None, map(_parse, _addresses_in(written.text))))]
    others = [address for address in named if address != sender]
    if len(others) > 1:
        return None
    return NewRequest(
        kind=RequestKind.MINOR,
        via=RequestVia.EMAIL,
        language="",
        addresses=(others[0] if others else sender,),
        received_at=received_at,
        text=written.text[:MAX_REPORT],
        reporter=sender.exact if others else "",
    )


def _addresses_in(text: str) -> Sequence[str]:
    words = text.replace("<", " ").replace(">", " ").split()
    return usable_addresses(
        parse_addresses([word.strip(".,;:()[]\"'") for word in words if "@" in word])
    )


def _belongs_to_request(subject: str) -> bool:
    """Whether the subject has the reference of a request, as answers to our mails do."""
    reference = find_reference(subject)
    if not reference:
        return False
    try:
        find_request_by_reference(reference)
    except (InvalidInput, UnknownRequest):
        return False
    return True


def _limit(kind: RequestKind) -> int:
    return MAX_REPORT if kind is RequestKind.MINOR else MAX_TEXT


def _parse(text: str) -> Address | None:
    try:
        return parse_address(text[:_MAX_SENDER], Channel.EMAIL)
    except InvalidAddress:
        return None
