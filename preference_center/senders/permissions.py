"""Who asks, and whether they may."""

from __future__ import annotations

from flask import request

from preference_center.domain.catalogue import Catalogue
from preference_center.extensions import services
from preference_center.senders.problems import NOT_PERMITTED, UNAUTHENTICATED, Refused
from preference_center.storage import api_keys, audit
from preference_center.storage.api_keys import ApiKey, KeyScope
from preference_center.storage.database import run

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="senders"'}  # RFC 6750 3


def sender_with(scope: KeyScope) -> ApiKey:
    """The key of this request. Raises Refused when there is none that has `scope`."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refused(UNAUTHENTICATED, UNAUTHENTICATED.remedy, _CHALLENGE)
    key = api_keys.find(token.strip())
    if key is None:
        raise Refused(UNAUTHENTICATED, "This key is unknown or was revoked.", _CHALLENGE)
    require_scope(key, scope)
    return key


def require_scope(key: ApiKey, scope: KeyScope) -> None:
    """Raises Refused, and records it, when the key lacks the scope."""
    if scope not in key.scopes:
        _record(key, f"scope:{scope}")
        raise Refused(NOT_PERMITTED, f"This key lacks the scope {scope}.")


def require_message_type(key: ApiKey, message_type: str, catalogue: Catalogue) -> None:
    """Raises Refused, and records it, when the key may not ask about the type (I4)."""
    if key.may_ask(message_type):
        return
    # Whatever is no type of the catalogue could be anything, an address too (I12).
    known = message_type if message_type in catalogue.message_types else "(unknown)"
    _record(key, f"message_type:{known}")
    raise Refused(NOT_PERMITTED, f"This key may not ask about the message type {message_type}.")


def _record(key: ApiKey, needed: str) -> None:
    now = services().now()
    detail = {"needed": needed, "endpoint": request.endpoint or ""}
    run(lambda connection: audit.append(connection, now, key.actor, "api.refused", detail))
