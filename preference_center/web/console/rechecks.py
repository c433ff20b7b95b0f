"""Asking the provider again whether somebody who signed in there is still on staff."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from preference_center.core.errors import DecryptionError
from preference_center.core.staff import Role
from preference_center.infra.audit import insert_audit_entry
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.web.console import sessions
from preference_center.web.console.id_tokens import InvalidIdToken, verify_id_token
from preference_center.web.console.provider import (
    GrantRefused,
    Provider,
    ProviderUnavailable,
    find_provider,
)
from preference_center.web.console.staff_oidc import Claims, StoredTokens, open_tokens, roles_of
from preference_center.web.console.store import staff_sessions
from preference_center.web.console.store.staff_sessions import StaffSession

log = structlog.get_logger()

CHECK_INTERVAL = timedelta(minutes=5)
"""How long a change at the provider may take to count here."""
RETRY_INTERVAL = timedelta(minutes=1)
"""When to ask again if it did not answer."""
ACTOR = "oidc"


@dataclass(frozen=True, slots=True)
class _Confirmation:
    """What the provider said: the roles now, and its newest tokens."""

    roles: frozenset[Role]
    tokens: StoredTokens


def recheck(session: StaffSession) -> StaffSession | None:
    """The session as the provider confirms it, if it was not asked lately; None if it has ended.

    While the provider can't be reached, a session goes on until it expires (decision 97).
    """
    now = services().now()
    if session.tokens is None or session.checked_at is None:
        return session
    if session.checked_at > now - CHECK_INTERVAL or not _claim(session, now):
        return session
    provider = find_provider()
    try:
        found = _ask(provider, session, open_tokens(session.id, session.tokens), now)
    except ProviderUnavailable as error:
        log.warning("staff_recheck_failed", session=str(session.id), error=str(error))
        return session
    except (GrantRefused, InvalidIdToken, DecryptionError) as error:
        log.info("staff_session_refused", session=str(session.id), error=str(error))
        sessions.end_session(session.id, ACTOR)
        return None
    if not found.roles:
        sessions.end_session(session.id, ACTOR)
        return None
    run_in_transaction(lambda connection: _store(connection, session, found, now))
    return replace(session, roles=found.roles)


def _claim(session: StaffSession, now: datetime) -> bool:
    """Whether this request is to ask: of several at once, one."""
    seen = session.checked_at
    assert seen is not None
    retry_at = now - CHECK_INTERVAL + RETRY_INTERVAL
    return run_in_transaction(
        lambda connection: staff_sessions.claim_check(connection, session.id, seen, retry_at)
    )


def _ask(
    provider: Provider | None, session: StaffSession, tokens: StoredTokens, now: datetime
) -> _Confirmation:
    if provider is None or provider.issuer != session.issuer:
        raise GrantRefused("CONSOLE_OIDC_ISSUER is another one now")
    id_token: Mapping[str, Any] = {}
    if tokens.refresh_token and (_is_over(tokens, now) or not tokens.has_groups_in_userinfo):
        fresh = provider.refresh(tokens.refresh_token, now)
        if fresh.id_token is not None:
            id_token = verify_id_token(
                fresh.id_token, provider, now, access_token=fresh.access_token, nonce=None
            )
        tokens = replace(
            tokens,
            access_token=fresh.access_token,
            refresh_token=fresh.refresh_token or tokens.refresh_token,
            expires_at=fresh.expires_at.isoformat() if fresh.expires_at else None,
        )
        # At once: many providers accept a refresh token once only.
        sealed = tokens.seal(session.id)
        run_in_transaction(
            lambda connection: staff_sessions.store_tokens(connection, session.id, sealed)
        )
    userinfo = provider.fetch_userinfo(tokens.access_token, now)
    for claims in (id_token, userinfo):
        if claims and claims.get("sub") != session.subject:
            raise InvalidIdToken("the provider answers about another subject")
    if not tokens.has_groups_in_userinfo and not id_token:
        return _Confirmation(session.roles, tokens)
    return _Confirmation(roles_of(Claims(id_token, userinfo)), tokens)


def _is_over(tokens: StoredTokens, now: datetime) -> bool:
    return tokens.expires_at is not None and datetime.fromisoformat(tokens.expires_at) <= now


def _store(
    connection: Connection, session: StaffSession, found: _Confirmation, now: datetime
) -> None:
    sealed = found.tokens.seal(session.id)
    staff_sessions.confirm_session(connection, session.id, found.roles, sealed, now)
    if found.roles != session.roles:
        detail = {"name": session.name, "roles": sorted(found.roles)}
        insert_audit_entry(connection, now, ACTOR, "staff.roles_changed", detail)
