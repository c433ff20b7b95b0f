"""What proves a request of a vendor that signs nothing: something secret, and where from.

Who calls is only as sure as the proxies in front (`TRUSTED_PROXIES`); it is looked at and
neither stored nor logged.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from preference_center.domain.vendor_events import Post, Unready, Unverified
from preference_center.integrations.base.payload import same

SECRET = "webhook_secret"  # noqa: S105 - the setting's name
USER = "webhook_user"
PASSWORD = "webhook_password"  # noqa: S105 - the setting's name
TOKEN = "webhook_token"  # noqa: S105 - the setting's name
NETWORKS = "networks"
ANY = "any"

GUARD: Mapping[str, str] = {
    f"{SECRET}?": "16 or more of A-Z, a-z, 0-9, - and _, at random; the webhook's URL is "
    "/in/NAME/SECRET",
    f"{USER}?": "instead of the secret, or besides: a user name, for HTTP basic authentication",
    f"{PASSWORD}?": "its password",
    f"{NETWORKS}?": "where the vendor calls from, as in '203.0.113.0/24 198.51.100.7'; any, if "
    "it doesn't say",
}
"""The settings that `guard` goes by, for a NewsSource."""

BEARER: Mapping[str, str] = {
    f"{TOKEN}?": "instead of them: 16 or more characters, at random, which the vendor sends as a "
    "bearer token",
}
"""Besides GUARD, for a NewsSource whose vendor can send one (RFC 6750)."""

_SECRET = re.compile(r"[A-Za-z0-9_-]{16,}")
_TOKEN = re.compile(r"[!-~]{16,}")

Network = IPv4Network | IPv6Network


def guard(post: Post, settings: Mapping[str, str]) -> None:
    """Return if `post` has the secret, the password or the token, and an address allowed.

    All that is set must be right. Raises Unready if too little is set, else Unverified.
    """
    secret, user = settings.get(SECRET, ""), settings.get(USER, "")
    token = settings.get(TOKEN, "")
    password, networks = settings.get(PASSWORD, ""), _networks(settings.get(NETWORKS, ""))
    if bool(user) != bool(password):
        raise Unready(f"set both {USER} and {PASSWORD}, or neither")
    if user and token:
        raise Unready(f"set {USER} and {PASSWORD}, or {TOKEN}: a request has one or the other")
    if token and not _TOKEN.fullmatch(token):
        raise Unready(f"{TOKEN}: write 16 or more characters, at random, without spaces")
    if not secret and not user and not token:
        raise Unready(f"set {SECRET}, or {USER} and {PASSWORD}: the vendor signs nothing")
    if secret and not _SECRET.fullmatch(secret):
        raise Unready(f"{SECRET}: write 16 or more of A-Z, a-z, 0-9, - and _, at random")
    if not same(post.secret, secret):
        raise Unverified("the secret in the path does not match")
    if user and not same(_credentials(post), f"{user}:{password}"):
        raise Unverified("the user name and password do not match")
    if token and not same(_authorization(post, "bearer"), token):
        raise Unverified("the token does not match")
    if networks is not None and not _is_from(post.remote, networks):
        raise Unverified("it does not come from an allowed network")


def _credentials(post: Post) -> str:
    """`user:password` of the request (RFC 7617); "" if there are none."""
    try:
        return base64.b64decode(_authorization(post, "basic"), validate=True).decode()
    except ValueError:
        return ""


def _authorization(post: Post, scheme: str) -> str:
    """What follows the `scheme` in the request's Authorization; "" if it has another."""
    given, _, rest = post.headers.get("authorization", "").partition(" ")
    return rest.strip() if given.casefold() == scheme else ""


@lru_cache
def _networks(text: str) -> tuple[Network, ...] | None:
    """Those of a setting; None for all. Raises Unready."""
    if text == ANY:
        return None
    try:
        found = tuple(ip_network(each) for each in text.replace(",", " ").split())
    except ValueError:
        raise Unready(f"{NETWORKS}: write each as in 203.0.113.0/24 or 198.51.100.7") from None
    if not found:
        raise Unready(f"set {NETWORKS} to where the vendor calls from, or to {ANY}")
    return found


def _is_from(remote: str, networks: tuple[Network, ...]) -> bool:
    try:
        address = ip_address(remote)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in networks)
