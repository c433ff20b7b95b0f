"""Authentication by API key, and authorization by its scopes and message types."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from flask import request

from preference_center.catalogue import Catalogue
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.api import api_keys
from preference_center.web.api.api_keys import ApiKey, KeyScope
from preference_center.web.api.key_usage import count_key_use
from preference_center.web.api.problems import (
    NOT_PERMITTED,
    RATE_LIMITED,
    UNAUTHENTICATED,
    ApiError,
)

_IPV4 = 4
_TOO_MANY_ATTEMPTS = (
    "Too many requests without a valid key came from this network: try again in a minute."
)
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="api"'}  # RFC 6750 3


INVALID_KEY_RATE = "300 per minute"
"""Requests without a valid key that a client's network may send."""


def authenticate() -> ApiKey:
    """The key of this request. Raises ApiError if there is no valid one.

    A network that sent too many invalid keys is rejected without a database query. A key that
    this process has found before is still looked up, so that nobody can lock out valid senders
    of the same network.
    """
    limiter = services().limiter
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    text = token.strip() if scheme.lower() == "bearer" else ""
    cached = api_keys.is_cached(text)  # first: the network's digest costs as much as the query
    if not cached and limiter.is_exhausted(INVALID_KEY_RATE, "unknown-key", _network_digest()):
        raise ApiError(RATE_LIMITED, _TOO_MANY_ATTEMPTS, {"Retry-After": "60"})
    key = api_keys.find_key(text) if text else None
    if key is None:
        limiter.acquire(INVALID_KEY_RATE, "unknown-key", _network_digest())
        detail = "This key is unknown or was revoked." if text else UNAUTHENTICATED.remedy
        raise ApiError(UNAUTHENTICATED, detail, _CHALLENGE)
    return key


def require_scope(key: ApiKey, scope: KeyScope) -> None:
    """Raises ApiError, and records the refusal, if the key lacks the scope."""
    if scope not in key.scopes:
        _record_refusal(key, f"scope:{scope}")
        raise ApiError(NOT_PERMITTED, f"This key lacks the scope {scope}.")


def require_message_type(key: ApiKey, message_type: str, catalogue: Catalogue) -> None:
    """Raises ApiError, and records the refusal, if the key may not check this type (I4)."""
    if key.may_check(message_type):
        return
    # An unknown type is not recorded: it could be any text, even an address (I12).
    known = message_type if message_type in catalogue.message_types else "(unknown)"
    _record_refusal(key, f"message_type:{known}")
    raise ApiError(NOT_PERMITTED, f"This key may not check the message type {message_type}.")


def _network_digest() -> str:
    """A keyed digest of the client's network (/24, or /64 in IPv6); no IP is stored (I12)."""
    try:
        address = ip_address(request.remote_addr or "")
        network = str(ip_network((address, 24 if address.version == _IPV4 else 64), strict=False))
    except ValueError:
        network = "unknown"
    return services().keys.evidence_hmac(network)


def _record_refusal(key: ApiKey, needed: str) -> None:
    """Record the first refusal of its kind in an hour, the tenth, the hundredth, and so on."""
    now, endpoint = services().now(), request.endpoint or ""
    count_key_use(key.name, now, refused=1)
    count = str(services().limiter.increment("hour", "refused", key.name, needed, endpoint))
    if count.strip("0") != "1":
        return
    detail = {"needed": needed, "endpoint": endpoint, "count_in_hour": count}
    run_in_transaction(
        lambda connection: audit.insert_audit_entry(
            connection, now, key.actor, "api.refused", detail
        )
    )
