"""Verification of vendors that sign nothing: by a shared secret and the client's address.

The address is as reliable as the proxies in front (`TRUSTED_PROXIES`); it is compared, and neither
stored nor logged.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import ClassVar

from preference_center.integrations.base.payload import constant_time_equal
from preference_center.integrations.base.vendor_events import (
    NotConfigured,
    SignatureError,
    WebhookRequest,
    WebhookSource,
)

SECRET_SETTING = "webhook_secret"  # noqa: S105 - the setting's name
USER_SETTING = "webhook_user"
PASSWORD_SETTING = "webhook_password"  # noqa: S105 - the setting's name
TOKEN_SETTING = "webhook_token"  # noqa: S105 - the setting's name
NETWORKS_SETTING = "networks"
ANY_NETWORK = "any"

SHARED_SECRET_SETTINGS: Mapping[str, str] = {
    f"{SECRET_SETTING}?": "16 or more of A-Z, a-z, 0-9, - and _, at random; the webhook's URL is "
    "/in/NAME/SECRET",
    f"{USER_SETTING}?": "instead of the secret, or besides: a user name, for HTTP basic "
    "authentication",
    f"{PASSWORD_SETTING}?": "its password",
    f"{NETWORKS_SETTING}?": "where the vendor calls from, as in '203.0.113.0/24 198.51.100.7'; "
    "any, if "
    "it doesn't say",
}
"""The settings that `check_shared_secret` reads."""

BEARER_TOKEN_SETTINGS: Mapping[str, str] = {
    f"{TOKEN_SETTING}?": "instead of them: 16 or more characters, at random, which the vendor "
    "sends as a "
    "bearer token",
}
"""Besides SHARED_SECRET_SETTINGS, for a webhook whose vendor can send one (RFC 6750)."""

_SECRET_PATTERN = re.compile(r"[A-Za-z0-9_-]{16,}")
_TOKEN_PATTERN = re.compile(r"[!-~]{16,}")

Network = IPv4Network | IPv6Network


class SharedSecretWebhook(WebhookSource):
    """Base of webhooks whose vendors sign nothing; subclasses implement `parse`."""

    settings: ClassVar[Mapping[str, str]] = SHARED_SECRET_SETTINGS
    secret_settings: ClassVar[frozenset[str]] = frozenset({SECRET_SETTING, PASSWORD_SETTING})
    secret_in_path: ClassVar[bool] = True

    def verify(self, request: WebhookRequest, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See WebhookVerifier."""
        check_shared_secret(request, settings)


def check_shared_secret(request: WebhookRequest, settings: Mapping[str, str]) -> None:
    """Return if `request` has the secret, the password or the token, and an allowed address.

    Everything that is set must match. Raises NotConfigured if too little is set, else
    SignatureError.
    """
    secret, user = settings.get(SECRET_SETTING, ""), settings.get(USER_SETTING, "")
    token = settings.get(TOKEN_SETTING, "")
    password, networks = (
        settings.get(PASSWORD_SETTING, ""),
        _parse_networks(settings.get(NETWORKS_SETTING, "")),
    )
    if bool(user) != bool(password):
        raise NotConfigured(f"set both {USER_SETTING} and {PASSWORD_SETTING}, or neither")
    if user and token:
        raise NotConfigured(
            f"set {USER_SETTING} and {PASSWORD_SETTING}, or {TOKEN_SETTING}: a request has one "
            "or the other"
        )
    if token and not _TOKEN_PATTERN.fullmatch(token):
        raise NotConfigured(
            f"{TOKEN_SETTING}: write 16 or more characters, at random, without spaces"
        )
    if not secret and not user and not token:
        raise NotConfigured(
            f"set {SECRET_SETTING}, or {USER_SETTING} and {PASSWORD_SETTING}: the vendor signs "
            "nothing"
        )
    if secret and not _SECRET_PATTERN.fullmatch(secret):
        raise NotConfigured(
            f"{SECRET_SETTING}: write 16 or more of A-Z, a-z, 0-9, - and _, at random"
        )
    if not constant_time_equal(request.path_secret, secret):
        raise SignatureError("the secret in the path does not match")
    if user and not constant_time_equal(_credentials(request), f"{user}:{password}"):
        raise SignatureError("the user name and password do not match")
    if token and not constant_time_equal(_authorization_value(request, "bearer"), token):
        raise SignatureError("the token does not match")
    if networks is not None and not _is_from(request.remote_address, networks):
        raise SignatureError("it does not come from an allowed network")


def _credentials(request: WebhookRequest) -> str:
    """`user:password` of the request (RFC 7617); "" if there are none."""
    try:
        return base64.b64decode(_authorization_value(request, "basic"), validate=True).decode()
    except ValueError:
        return ""


def _authorization_value(request: WebhookRequest, scheme: str) -> str:
    """What follows the `scheme` in the request's Authorization; "" if it has another."""
    given, _, rest = request.headers.get("authorization", "").partition(" ")
    return rest.strip() if given.casefold() == scheme else ""


@lru_cache
def _parse_networks(text: str) -> tuple[Network, ...] | None:
    """Those of a setting; None for all. Raises NotConfigured."""
    if text == ANY_NETWORK:
        return None
    try:
        found = tuple(ip_network(each) for each in text.replace(",", " ").split())
    except ValueError:
        raise NotConfigured(
            f"{NETWORKS_SETTING}: write each as in 203.0.113.0/24 or 198.51.100.7"
        ) from None
    if not found:
        raise NotConfigured(
            f"set {NETWORKS_SETTING} to where the vendor calls from, or to {ANY_NETWORK}"
        )
    return found


def _is_from(remote: str, networks: tuple[Network, ...]) -> bool:
    try:
        address = ip_address(remote)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in networks)
