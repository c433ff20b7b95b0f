"""Mail the person what becomes of their request, in the transaction that decides it.

Always to the address that the request is about, also where an agent asked (docs/rights.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from preference_center.context import services
from preference_center.domain.addresses import Address, Channel, parse_address
from preference_center.domain.rights.model import (
    Extent,
    RequestKind,
    RequestState,
    StepAction,
)
from preference_center.domain.rights.request import RightsRequest
from preference_center.languages import SOURCE_LANGUAGE, match_language
from preference_center.links.rights_status import rights_status_url
from preference_center.storage.catalogues import current_catalogue_or_empty
from preference_center.storage.db.database import Connection
from preference_center.storage.mail.outbox import EmailKind, OutgoingEmail, insert_emails
from preference_center.storage.rights.requests import open_part

LETTER_LIFETIME = timedelta(days=7)
"""How long delivery is tried."""

_KINDS: Mapping[StepAction, EmailKind] = {
    StepAction.RECEIVED: EmailKind.RIGHTS_RECEIVED,
    StepAction.DONE: EmailKind.RIGHTS_DONE,
    StepAction.REFUSED: EmailKind.RIGHTS_REFUSED,
    StepAction.EXTENDED: EmailKind.RIGHTS_EXTENDED,
    StepAction.LAPSED: EmailKind.RIGHTS_LAPSED,
}
_AT_ONCE = {RequestKind.RESTRICT, RequestKind.UNRESTRICT}


def has_letter(request: RightsRequest, action: StepAction) -> bool:
    """Whether the person is mailed about this step.

    Not of the receipt of what is done at the same moment. A finished erasure's last notice is
    mailed by `acts`, since the stored request no longer names anybody then. A report of a minor
    is not answered here.
    """
    if action not in _KINDS or request.kind is RequestKind.MINOR:
        return False
    if action is StepAction.DONE:
        return request.kind is not RequestKind.ERASE
    return not (action is StepAction.RECEIVED and _is_done_at_once(request))


def insert_letter(
    connection: Connection, request: RightsRequest, action: StepAction
) -> UUID | None:
    """Queue the mail about this step; its id, or None if the person can't be mailed.

    That is so without a mail server, and for a request that names no email address: then
    somebody has to write a letter, which the step shows.
    """
    context, recipient = services(), _recipient(request)
    if recipient is None or context.settings.mail_server is None:
        return None
    catalogue = current_catalogue_or_empty()
    brand = catalogue.brands.get(request.brand or "")
    email_id = context.new_id()
    reason = request.outcome or request.refusal or request.extension_reason
    values = {
        "link": rights_status_url(
            context.links, request.id, context.now(), brand.host if brand else None
        ),
        "reference": request.reference,
        "right": request.kind.value,
        "law": request.law or "",
        "received": request.received_at.isoformat(),
        "due": "" if request.stopped_at else request.deadline.isoformat(),
        "why": reason or "",
    }
    email = OutgoingEmail(
        id=email_id,
        kind=_KINDS[action],
        recipient=recipient,
        language=match_language(request.language)
        or match_language(catalogue.default_language)
        or SOURCE_LANGUAGE,
        brand=request.brand,
        values=values,
        expires_at=context.now() + LETTER_LIFETIME,
    )
    insert_emails(connection, [email])
    return email_id


def _is_done_at_once(request: RightsRequest) -> bool:
    if request.state is not RequestState.OPEN:
        return False
    return request.kind in _AT_ONCE or request.extent is Extent.MARKETING


def _recipient(request: RightsRequest) -> Address | None:
    for channel, text in open_part(services().keys, request).addresses:
        if channel == Channel.EMAIL:
            return parse_address(text, Channel.EMAIL)
    return None
