"""Mailing a one-time link to an address that somebody typed, or to that of a link.

The work done, one row in the outbox, is the same whether the address is known, unknown or
erased, so nobody can find out who is in the database.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from flask import request

from preference_center.core.addresses import Address, Channel, mask_address, parse_address
from preference_center.core.errors import InvalidAddress
from preference_center.core.links.tokens import TokenPurpose
from preference_center.infra.context import services
from preference_center.infra.outbox import EmailKind
from preference_center.web.languages import chosen_language, page_language
from preference_center.web.pages import one_time_links
from preference_center.web.pages.rendering import catalogue_or_empty, lead_brand

REQUEST_RATE = "3 per hour; 10 per day"
"""Requests about one mailbox that anybody can make, of one kind: beyond it none is recorded."""

_SEPARATORS = re.compile(r"[\s,;]+")
_MAX_ADDRESS_LENGTH = 320  # characters; RFC 5321 4.5.3.1 allows fewer still


@dataclass(frozen=True, slots=True)
class GivenAddress:
    """The posted address to email, or what is wrong with it."""

    display_address: str = field(repr=False)
    """What the page may show: the typed text, or a token's address, masked (RULES C6)."""
    address: Address | None = None
    error: str = ""
    """`phone`, `several` or `invalid`."""


def read_typed_address() -> GivenAddress:
    """The email address in the form's field `address`."""
    typed = request.form.get("address", "").strip()[:_MAX_ADDRESS_LENGTH]
    try:
        return GivenAddress(typed, parse_address(typed, Channel.EMAIL))
    except InvalidAddress:
        return GivenAddress(typed, error=_find_error(typed))


def address_of_link(address: Address) -> GivenAddress:
    """The address of a link, as long as it can be emailed; its holder may be somebody else."""
    if address.channel is not Channel.EMAIL:
        return GivenAddress("", error="phone")
    return GivenAddress(mask_address(address), address)


def send_one_time_link(
    address: Address,
    kind: EmailKind,
    purpose: TokenPurpose,
    path: str,
    values: Mapping[str, str] | None = None,
) -> None:
    """Queue an email with a one-time link, up to UNPROVEN_EMAIL_RATE per mailbox.

    Nobody learns whether it was queued. See `web.pages.one_time_links`.
    """
    one_time_links.queue_one_time_link(
        address,
        kind,
        purpose,
        path,
        brand=lead_brand(tuple(catalogue_or_empty().brands.values())),
        language=page_language(),
        is_chosen=chosen_language() is not None,
        values=values,
    )


def is_cross_site() -> bool:
    """Whether a page of another site sent this (Fetch Metadata, else RFC 6454).

    There is no session and no cookie to protect; but other sites must not use their
    visitors' networks to make us send email.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("Origin", "null")  # "null": our own, by no-referrer
    ours = {request.host, urlsplit(services().settings.public_url).netloc}
    ours.update(brand.host for brand in catalogue_or_empty().brands.values() if brand.host)
    return origin != "null" and urlsplit(origin).netloc not in ours


def _find_error(typed: str) -> str:
    if _is_phone(typed):
        return "phone"
    parts = [part for part in _SEPARATORS.split(typed) if "@" in part]
    return "several" if len(parts) > 1 else "invalid"


def _is_phone(typed: str) -> bool:
    try:
        parse_address(typed, Channel.PHONE, region=services().settings.phone_region)
    except InvalidAddress:
        return False
    return True
