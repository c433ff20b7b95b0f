"""Sessions of the console. The cookie has a token, of which the digest alone is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from preference_center.core.staff import Role
from preference_center.infra.db.transactions import Connection

# An account's own roles count, so that a change of them holds at once.
_SELECT = """
SELECT s.id, s.name, COALESCE(a.roles, s.roles), s.account_id, s.issuer, s.subject, s.tokens,
    s.checked_at, s.started_at, s.last_seen_at, s.expires_at
FROM staff_session s LEFT JOIN staff_account a ON a.id = s.account_id
WHERE s.ended_at IS NULL AND s.expires_at > %(now)s AND s.last_seen_at > %(idle_since)s
    AND a.disabled_at IS NULL
"""

MAX_SESSIONS = 2_000


@dataclass(frozen=True, slots=True)
class StaffSession:
    """A session that is in use."""

    id: UUID
    name: str
    roles: frozenset[Role]
    account_id: int | None = None
    issuer: str | None = None
    """The OpenID Connect provider, and who it is there."""
    subject: str | None = None
    tokens: bytes | None = field(default=None, repr=False)
    """The provider's tokens, sealed for `staff_session_context(id)`."""
    checked_at: datetime | None = None
    """When the provider last confirmed it; or so that it is asked again soon."""
    started_at: datetime | None = None
    last_seen_at: datetime | None = None
    expires_at: datetime | None = None


def insert_session(
    connection: Connection,
    session: StaffSession,
    digest: bytes,
    now: datetime,
    expires_at: datetime,
) -> None:
    """Begin a session; of `session`, the times are not used."""
    connection.execute(
        """INSERT INTO staff_session (id, digest, name, roles, account_id, issuer, subject, tokens,
            checked_at, started_at, last_seen_at, expires_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            session.id,
            digest,
            session.name,
            sorted(session.roles),
            session.account_id,
            session.issuer,
            session.subject,
            session.tokens,
            now,
            now,
            now,
            expires_at,
        ),
    )


def find_session(
    connection: Connection, digest: bytes, now: datetime, idle_since: datetime
) -> StaffSession | None:
    """The session of this token, if it has not ended, expired, or been idle since that time."""
    given = {"now": now, "idle_since": idle_since, "digest": digest}
    row = connection.execute(f"{_SELECT} AND s.digest = %(digest)s".encode(), given).fetchone()
    return _to_session(row) if row else None


def list_sessions(
    connection: Connection, now: datetime, idle_since: datetime
) -> list[StaffSession]:
    """Every session that is in use, the one seen last first; at most MAX_SESSIONS."""
    given = {"now": now, "idle_since": idle_since, "limit": MAX_SESSIONS}
    query = f"{_SELECT} ORDER BY s.last_seen_at DESC LIMIT %(limit)s"
    rows = connection.execute(query.encode(), given)
    return [_to_session(row) for row in rows]


def is_name_used(
    connection: Connection, wanted: StaffSession, now: datetime, idle_since: datetime
) -> bool:
    """Whether somebody else is signed in by the name of `wanted`."""
    given = {
        "now": now,
        "idle_since": idle_since,
        "name": wanted.name,
        "issuer": wanted.issuer,
        "subject": wanted.subject,
    }
    query = (
        f"{_SELECT} AND s.name = %(name)s AND (s.issuer, s.subject)"
        " IS DISTINCT FROM (%(issuer)s::text, %(subject)s::text) LIMIT 1"
    )
    return connection.execute(query.encode(), given).fetchone() is not None


def touch_session(connection: Connection, session_id: UUID, now: datetime) -> None:
    """Record that a session is in use."""
    connection.execute(
        "UPDATE staff_session SET last_seen_at = %s WHERE id = %s", (now, session_id)
    )


def claim_check(
    connection: Connection, session_id: UUID, seen: datetime, checked_at: datetime
) -> bool:
    """Set when the provider was asked; false if another request has, since that was `seen`."""
    row = connection.execute(
        "UPDATE staff_session SET checked_at = %s WHERE id = %s AND checked_at = %s RETURNING 1",
        (checked_at, session_id, seen),
    ).fetchone()
    return row is not None


def store_tokens(connection: Connection, session_id: UUID, tokens: bytes) -> None:
    """Replace the provider's tokens of a session."""
    connection.execute(
        "UPDATE staff_session SET tokens = %s WHERE id = %s AND ended_at IS NULL",
        (tokens, session_id),
    )


def confirm_session(
    connection: Connection,
    session_id: UUID,
    roles: frozenset[Role],
    tokens: bytes,
    now: datetime,
) -> None:
    """Record what the provider said of somebody's groups now, and its newest tokens."""
    connection.execute(
        "UPDATE staff_session SET roles = %s, tokens = %s, checked_at = %s"
        " WHERE id = %s AND ended_at IS NULL",
        (sorted(roles), tokens, now, session_id),
    )


def end_session(connection: Connection, session_id: UUID, now: datetime) -> str | None:
    """End a session, and return whose it was; None if it had ended."""
    row = connection.execute(
        "UPDATE staff_session SET ended_at = %s, tokens = NULL"
        " WHERE id = %s AND ended_at IS NULL RETURNING name",
        (now, session_id),
    ).fetchone()
    return row[0] if row else None


def end_sessions_of(connection: Connection, name: str, now: datetime) -> int:
    """End every session of one name, and return how many there were."""
    return connection.execute(
        "UPDATE staff_session SET ended_at = %s, tokens = NULL"
        " WHERE name = %s AND ended_at IS NULL AND expires_at > %s",
        (now, name, now),
    ).rowcount


def delete_old_sessions(connection: Connection, before: datetime) -> int:
    """Delete sessions that expired before a time; the audit keeps who signed in."""
    return connection.execute("DELETE FROM staff_session WHERE expires_at < %s", (before,)).rowcount


def _to_session(row: Sequence[Any]) -> StaffSession:
    session_id, name, roles, *rest = row
    return StaffSession(session_id, name, frozenset(map(Role, roles)), *rest)
