"""`/form`: the way in for people without a link. It mails one to the address they type.

Whether we know the address changes nothing: not the answer, nor the work behind it, which
is one row for the outbox. So nobody learns from here who is in the database.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from flask import abort, redirect, request, url_for
from flask.typing import ResponseReturnValue

from preference_center.domain.addresses import Address, Channel, mask, parse
from preference_center.errors import InvalidAddress
from preference_center.extensions import services
from preference_center.languages import page_language, switched_language
from preference_center.links import LIFETIMES, Use
from preference_center.pages.rendering import can_mail, catalogue_or_empty, lead, page
from preference_center.storage.mail.outbox import SWITCHED, Letter, LetterKind, post

PER_ADDRESS = "3 per hour; 10 per day"
"""Beyond it the answer is the same, but nothing more is mailed."""

PER_NETWORK = "30 per hour"
"""From one network, to whatever addresses; beyond it the answer is 429."""

_PREFIX = {4: 24, 6: 48}  # bits that one household or office shares
_MAX_ADDRESS = 320  # characters; RFC 5321 4.5.3.1 allows fewer still


def root() -> ResponseReturnValue:
    """Lead whoever types the host's name to the form."""
    return redirect(url_for("recipients.request_link"))


def request_link() -> ResponseReturnValue:
    """Show the form (GET, HEAD), or mail a link to the address in it (POST).

    A page whose link is too old posts that token as `link` instead of an address; its
    own address is then mailed. Raises InvalidLink for a token that isn't ours.
    """
    if request.method != "POST":
        return _form()
    if not can_mail():
        return _form(status=503)
    wish = _wish()
    if wish.address is None:
        return _form(wish.fault, wish.shown, status=422)
    if _is_foreign():
        return _form("foreign", wish.shown, status=403)
    if not _network_may_ask():
        abort(429)
    _mail(wish.address)
    return _page("link_requested", address=wish.shown)


@dataclass(frozen=True, slots=True)
class Wish:
    """What was posted: the address to mail, or what is wrong with it."""

    shown: str = field(repr=False)
    """What the page may show: what was typed, or a token's address, masked (RULES C6)."""
    address: Address | None = None
    fault: str = ""


def _wish() -> Wish:
    token = request.form.get("link")
    if token is not None:
        address = services().links.address_of(token)
        if address.channel is not Channel.EMAIL:
            return Wish("", fault="phone")
        return Wish(mask(address), address)
    typed = request.form.get("address", "").strip()[:_MAX_ADDRESS]
    try:
        return Wish(typed, parse(typed, Channel.EMAIL))
    except InvalidAddress:
        return Wish(typed, fault="phone" if _is_phone(typed) else "unreadable")


def _is_phone(typed: str) -> bool:
    try:
        parse(typed, Channel.PHONE, region=services().settings.phone_region)
    except InvalidAddress:
        return False
    return True


def _mail(address: Address) -> None:
    """Have a fresh pass mailed, unless this mailbox has had enough of them."""
    context = services()
    if not context.limiter.allows(
        PER_ADDRESS, "link-to", context.keys.digest(address.mailbox).hex()
    ):
        return
    now, letter = context.now(), context.new_id()
    brand = lead(tuple(catalogue_or_empty().brands.values()))
    host = brand.host if brand else None
    values = {"link": context.links.pass_url(Use.MAILED, address, letter, now, host)}
    if chosen := switched_language():
        values[SWITCHED] = chosen
    post(
        [
            Letter(
                id=letter,
                kind=LetterKind.ONE_TIME_LINK,
                to=address,
                language=page_language(),
                brand=brand.key if brand else None,
                values=values,
                expires_at=now + LIFETIMES[Use.MAILED],
            )
        ]
    )


def _network_may_ask() -> bool:
    network = network_of(request.remote_addr)
    return network is None or services().limiter.allows(PER_NETWORK, "links-from", network)


def network_of(remote: str | None) -> str | None:
    """The /24 (IPv4) or /48 (IPv6) of a public address.

    None for any other: then it is a proxy of our own that TRUSTED_PROXIES leaves out, and
    everybody would share its limit.
    """
    try:
        address: IPv4Address | IPv6Address = ip_address(remote or "")
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if not address.is_global:
        return None
    return str(ip_network((address, _PREFIX[address.version]), strict=False))


def _is_foreign() -> bool:
    """Whether a page of another site sent this (Fetch Metadata, else RFC 6454).

    There is no session to ride on here, and so no cookie; but other sites must not use
    their visitors' networks to have us mail people.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("Origin", "null")  # "null": our own, by no-referrer
    ours = {request.host, urlsplit(services().settings.public_url).netloc}
    ours.update(brand.host for brand in catalogue_or_empty().brands.values() if brand.host)
    return origin != "null" and urlsplit(origin).netloc not in ours


def _form(fault: str = "", typed: str = "", *, status: int = 200) -> ResponseReturnValue:
    return _page("request_link", status=status, fault=fault, typed=typed)


def _page(template: str, *, status: int = 200, **values: str) -> ResponseReturnValue:
    return page(
        template,
        status=status,
        brands=tuple(catalogue_or_empty().brands.values()),
        here=url_for("recipients.request_link", lang=None),
        **values,
    )
