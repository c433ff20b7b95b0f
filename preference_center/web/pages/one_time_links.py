"""Emails with a one-time link, to an address that nobody has proven is theirs."""

from __future__ import annotations

from collections.abc import Mapping

from preference_center.catalogue import Brand
from preference_center.core.addresses import Address
from preference_center.core.links.tokens import LIFETIMES, TokenPurpose
from preference_center.infra.context import services
from preference_center.infra.outbox import (
    LANGUAGE_SWITCHED,
    EmailKind,
    OutgoingEmail,
    enqueue_emails,
)
from preference_center.web.unproven_emails import may_email


def queue_one_time_link(
    address: Address,
    kind: EmailKind,
    purpose: TokenPurpose,
    path: str,
    *,
    brand: Brand | None,
    language: str,
    is_chosen: bool,
    values: Mapping[str, str] | None = None,
) -> bool:
    """Queue such an email; false if UNPROVEN_EMAIL_RATE of this mailbox is reached.

    `path` is the first part of the link's path: the token follows it. `language` (BCP 47) is that
    of the email unless the contact has another; if somebody has chosen it, in any case. `values`
    are those of the email besides the link.
    """
    if not may_email(address):
        return False
    context = services()
    now, email_id = context.now(), context.new_id()
    token = context.links.create_one_time_token(purpose, address, email_id, now)
    base_url = context.links.base_url(brand.host if brand else None)
    values = {"link": f"{base_url}/{path}/{token}", **(values or {})}
    if is_chosen:
        values[LANGUAGE_SWITCHED] = language
    enqueue_emails(
        [
            OutgoingEmail(
                id=email_id,
                kind=kind,
                recipient=address,
                language=language,
                brand=brand.key if brand else None,
                values=values,
                expires_at=now + LIFETIMES[purpose],
                unproven=True,
            )
        ]
    )
    return True
