"""Whether a network may ask for more email, and from which network a request comes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import structlog
from flask import abort, g, request

from preference_center.infra.context import services

log = structlog.get_logger()

NETWORK_RATE = "30 per hour"
"""From one network, for any addresses; beyond it the response is 429."""

_NETWORK_PREFIX_BITS = {4: 24, 6: 48}  # bits that one household or office shares


def limit_network() -> None:
    """Count a request that may lead to an email; abort with 429 beyond NETWORK_RATE.

    Aborts with 503 if a proxy hides who asks.
    """
    if is_network_hidden():
        abort(503)
    network = network_of(request.remote_addr)
    if network is not None and not services().limiter.hit(NETWORK_RATE, "links-from", network):
        abort(429)


def is_network_hidden() -> bool:
    """Whether proxies that TRUSTED_PROXIES does not count stand between us and who asks.

    Then no limit per network holds: anybody could have us mail any number of people.
    """
    if "is_network_hidden" not in g:
        g.is_network_hidden = _is_network_hidden()
        if g.is_network_hidden and request.method == "POST":
            log.error("proxy_not_counted", endpoint=request.endpoint, fix="Set TRUSTED_PROXIES")
    return bool(g.is_network_hidden)


def _is_network_hidden() -> bool:
    trusted = services().settings.trusted_proxies
    named = [name for name in request.headers.get("X-Forwarded-For", "").split(",") if name.strip()]
    return len(named) > trusted and (trusted == 0 or network_of(request.remote_addr) is None)


def network_of(remote: str | None) -> str | None:
    """The /24 (IPv4) or /48 (IPv6) of a public address.

    None for any other: somebody inside, or a proxy of our own, whose limit everybody would share.
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
