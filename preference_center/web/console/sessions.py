"""Sessions of the console: short, and ended at once where somebody says so."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from preference_center.infra.audit import insert_audit_entry
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.web.console.store import staff_sessions
from preference_center.web.console.store.staff_sessions import StaffSession

SESSION_LIFETIME = timedelta(hours=8)
"""A working day: then one signs in again."""
IDLE_LIFETIME = timedelta(minutes=30)
RETENTION = timedelta(days=1)
"""How long a session is kept after it expired: the audit keeps who signed in."""
_TOUCH_INTERVAL = timedelta(minutes=1)


def begin_session(session: StaffSession) -> str:
    """Begin a session of somebody who has signed in, and return its token for the cookie."""
    now, token = services().now(), secrets.token_urlsafe(32)

    def begin(connection: Connection) -> None:
        expires_at = now + SESSION_LIFETIME
        staff_sessions.insert_session(connection, session, token_digest(token), now, expires_at)
        detail = {
            "roles": sorted(session.roles),
            "issuer": session.issuer or "",
            "subject": session.subject or "",
        }
        insert_audit_entry(connection, now, actor_of(session), "staff.signed_in", detail)

    run_in_transaction(begin)
    return token


def find_session(token: str, *, is_poll: bool = False) -> StaffSession | None:
    """The session of a cookie's token, if it is in use; it counts as seen now.

    Not so if `is_poll`: a page that asks by itself whether something is new keeps no session
    alive of somebody who has left.
    """
    now = services().now()
    session = run_autocommit(
        lambda connection: staff_sessions.find_session(
            connection, token_digest(token), now, now - IDLE_LIFETIME
        )
    )
    seen = session.last_seen_at if session else None
    if session and seen and seen <= now - _TOUCH_INTERVAL and not is_poll:
        touched = session.id
        run_autocommit(lambda connection: staff_sessions.touch_session(connection, touched, now))
    return session


def list_sessions() -> Sequence[StaffSession]:
    """Every session in use, the one seen last first."""
    now = services().now()
    return run_in_transaction(
        lambda connection: staff_sessions.list_sessions(connection, now, now - IDLE_LIFETIME)
    )


def end_session(session_id: UUID, actor: str) -> bool:
    """End a session; false if it had ended."""
    now = services().now()

    def end(connection: Connection) -> bool:
        name = staff_sessions.end_session(connection, session_id, now)
        if name is not None:
            insert_audit_entry(connection, now, actor, "staff.session_ended", {"name": name})
        return name is not None

    return run_in_transaction(end)


def end_sessions_of(connection: Connection, name: str, actor: str) -> int:
    """End every session of one name, in a transaction of the caller."""
    now = services().now()
    ended = staff_sessions.end_sessions_of(connection, name, now)
    if ended:
        detail = {"name": name, "sessions": str(ended)}
        insert_audit_entry(connection, now, actor, "staff.sessions_ended", detail)
    return ended


def delete_old_sessions(now: datetime) -> int:
    """Delete what expired long ago, with a provider's tokens, and return how many there were."""
    return run_autocommit(
        lambda connection: staff_sessions.delete_old_sessions(connection, now - RETENTION)
    )


def actor_of(session: StaffSession) -> str:
    """Who it is in events and in the audit."""
    return f"console:{session.name}"


def token_digest(token: str) -> bytes:
    """How a random token is stored: 256 bits need no salt and no slow hash."""
    return sha256(token.encode()).digest()
