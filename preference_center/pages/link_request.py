"""`/form`: for people without a link. It emails one to the address they type.

The response and the work done, one row in the outbox, are the same whether the address is
known or not. So nobody can find out here who is in the database.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from flask import abort, redirect, request, url_for
from flask.typing import ResponseReturnValue

from preference_center.context import services
from preference_center.domain.addresses import Address, Channel, mask_address, parse_address
from preference_center.errors import InvalidAddress
from preference_center.languages import chosen_language, page_language
from preference_center.links import LIFETIMES, TokenPurpose
from preference_center.pages.rendering import can_mail, catalogue_or_empty, lead_brand, render_page
from preference_center.storage.mail.outbox import (
    LANGUAGE_SWITCHED,
    EmailKind,
    OutgoingEmail,
    enqueue_emails,
)

ADDRESS_RATE = "3 per hour; 10 per day"
"""Beyond it the response is the same, but no more email is sent."""

NETWORK_RATE = "30 per hour"
"""From one network, to any addresses; beyond it the response is 429."""

_NETWORK_PREFIX_BITS = {4: 24, 6: 48}  # bits that one household or office shares
_MAX_ADDRESS_LENGTH = 320  # characters; RFC 5321 4.5.3.1 allows fewer still


def redirect_to_form() -> ResponseReturnValue:
    """Redirect from the host's root to the form."""
    return redirect(url_for("pages.request_link"))


def request_link() -> ResponseReturnValue:
    """Show the form (GET, HEAD), or email a link to the address in it (POST).

    A page whose link is too old posts that token as `link` instead of an address; the
    email then goes to the token's own address. Raises InvalidLink for a token that isn't
    ours.
    """
    if request.method != "POST":
        return _form_page()
    if not can_mail():
        return _form_page(status=503)
    parsed = _parse_link_request()
    if parsed.address is None:
        return _form_page(parsed.error, parsed.display_address, status=422)
    if _is_cross_site():
        return _form_page("cross_site", parsed.display_address, status=403)
    if not _network_allowed():
        abort(429)
    _send_link(parsed.address)
    return _render_page("link_requested", address=parsed.display_address)


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """The posted address to email, or what is wrong with it."""

    display_address: str = field(repr=False)
    """What the page may show: the typed text, or a token's address, masked (RULES C6)."""
    address: Address | None = None
    error: str = ""


def _parse_link_request() -> LinkRequest:
    token = request.form.get("link")
    if token is not None:
        address = services().links.address_of(token)
        if address.channel is not Channel.EMAIL:
            return LinkRequest("", error="phone")
        return LinkRequest(mask_address(address), address)
    typed = request.form.get("address", "").strip()[:_MAX_ADDRESS_LENGTH]
    try:
        return LinkRequest(typed, parse_address(typed, Channel.EMAIL))
    except InvalidAddress:
        return LinkRequest(typed, error="phone" if _is_phone(typed) else "invalid")


def _is_phone(typed: str) -> bool:
    try:
        parse_address(typed, Channel.PHONE, region=services().settings.phone_region)
    except InvalidAddress:
        return False
    return True


def _send_link(address: Address) -> None:
    """Queue an email with a one-time link, up to ADDRESS_RATE per mailbox."""
    context = services()
    if not context.limiter.hit(ADDRESS_RATE, "link-to", context.keys.digest(address.mailbox).hex()):
        return
    now, email_id = context.now(), context.new_id()
    brand = lead_brand(tuple(catalogue_or_empty().brands.values()))
    host = brand.host if brand else None
    values = {
        "link": context.links.one_time_url(TokenPurpose.EMAILED_LINK, address, email_id, now, host)
    }
    if chosen := chosen_language():
        values[LANGUAGE_SWITCHED] = chosen
    enqueue_emails(
        [
            OutgoingEmail(
                id=email_id,
                kind=EmailKind.ONE_TIME_LINK,
                recipient=address,
                language=page_language(),
                brand=brand.key if brand else None,
                values=values,
                expires_at=now + LIFETIMES[TokenPurpose.EMAILED_LINK],
            )
        ]
    )


def _network_allowed() -> bool:
    network = network_of(request.remote_addr)
    return network is None or services().limiter.hit(NETWORK_RATE, "links-from", network)


def network_of(remote: str | None) -> str | None:
    """The /24 (IPv4) or /48 (IPv6) of a public address.

    None for any other: then it is a proxy of our own that TRUSTED_PROXIES does not count,
    and everybody would share its limit.
    """
    try:
        address: IPv4Address | IPv6Address = ip_address(remote or "")
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if not address.is_global:
        return None
    return str(ip_network((address, _NETWORK_PREFIX_BITS[address.version]), strict=False))


def _is_cross_site() -> bool:
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


def _form_page(error: str = "", typed: str = "", *, status: int = 200) -> ResponseReturnValue:
    return _render_page("request_link", status=status, error=error, typed=typed)


def _render_page(template: str, *, status: int = 200, **values: str) -> ResponseReturnValue:
    return render_page(
        template,
        status=status,
        brands=tuple(catalogue_or_empty().brands.values()),
        self_path=url_for("pages.request_link", lang=None),
        **values,
    )
