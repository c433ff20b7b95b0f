"""These functions store the console's staff accounts and sessions.

An account is that of staff that signs in with a password and a code of an authenticator. The
cookie of a session has a token, of which the digest alone is stored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg import errors
from psycopg.abc import Params

from preference_center.core.errors import InvalidInput
from preference_center.core.staff import Role
from preference_center.infra.db.transactions import Connection, fetch_count

_COLUMNS = """id, name, roles, password_hash, totp_secret, totp_step, failures, locked_until,
    enrolment_expires_at, created_at, disabled_at"""


MAX_ACCOUNTS = 1_000


@dataclass(frozen=True, slots=True)
class StaffAccount:
    """One account. Its person has set a password if `password_hash` is there."""

    id: int
    name: str
    roles: frozenset[Role]
    password_hash: str | None = field(repr=False)
    totp_secret: bytes = field(repr=False)
    """Sealed for `staff_account_context(name)`."""
    totp_step: int
    """The time step (RFC 6238 4.2) of the last code that was used."""
    failures: int
    """Wrong passwords or codes since the last sign-in."""
    locked_until: datetime | None
    enrolment_expires_at: datetime | None
    created_at: datetime
    disabled_at: datetime | None


def insert_account(
    connection: Connection,
    name: str,
    roles: Collection[Role],
    totp_secret: bytes,
    enrolment: tuple[bytes, datetime],
    now: datetime,
) -> None:
    """Create an account. `enrolment` is the digest of its link's token, and when that expires.

    Raises InvalidInput if there is one of this name.
    """
    given = (name, sorted(roles), totp_secret, *enrolment, now)
    try:
        with connection.transaction():
            connection.execute(
                "INSERT INTO staff_account (name, roles, totp_secret, enrolment_digest,"
                " enrolment_expires_at, created_at) VALUES (%s, %s, %s, %s, %s, %s)",
                given,
            )
    except errors.UniqueViolation:
        raise InvalidInput(
            f"there is an account {name}: `flask staff reset` gives it a new password"
        ) from None


def find_account(connection: Connection, name: str) -> StaffAccount | None:
    """The account of this name."""
    return next(_select_accounts(connection, "name = %s", name), None)


def load_account(connection: Connection, account_id: int) -> StaffAccount | None:
    """The account with this id."""
    return next(_select_accounts(connection, "id = %s", account_id), None)


def find_enrolling_account(
    connection: Connection, digest: bytes, now: datetime
) -> StaffAccount | None:
    """The account whose link for setting a password has a token of this digest, in time."""
    condition = "enrolment_digest = %s AND enrolment_expires_at > %s AND disabled_at IS NULL"
    return next(_select_accounts(connection, condition, digest, now), None)


def list_accounts(connection: Connection) -> list[StaffAccount]:
    """Every account, by name; at most MAX_ACCOUNTS."""
    return [*_select_accounts(connection, "true ORDER BY name LIMIT %s", MAX_ACCOUNTS)]


def begin_enrolment(
    connection: Connection, name: str, totp_secret: bytes, enrolment: tuple[bytes, datetime]
) -> bool:
    """Forget the password and the codes of an account, which needs its new link then.

    False if there is no such account, or if it is disabled.
    """
    return _is_changed(
        connection,
        """WITH forgotten AS (
            DELETE FROM staff_recovery_code
            WHERE account_id = (SELECT id FROM staff_account
                WHERE name = %(name)s AND disabled_at IS NULL)
        )
        UPDATE staff_account SET password_hash = NULL, totp_secret = %(secret)s, totp_step = 0,
            failures = 0, locked_until = NULL,
            enrolment_digest = %(digest)s, enrolment_expires_at = %(expires_at)s
        WHERE name = %(name)s AND disabled_at IS NULL""",
        {
            "name": name,
            "secret": totp_secret,
            "digest": enrolment[0],
            "expires_at": enrolment[1],
        },
    )


def finish_enrolment(
    connection: Connection,
    account_id: int,
    password_hash: str,
    totp_step: int,
    recovery_codes: Sequence[bytes],
) -> bool:
    """Set the password, and the digests of recovery codes; false if the link was used already."""
    is_done = _is_changed(
        connection,
        """UPDATE staff_account SET password_hash = %s, totp_step = %s,
            enrolment_digest = NULL, enrolment_expires_at = NULL
        WHERE id = %s AND enrolment_digest IS NOT NULL""",
        (password_hash, totp_step, account_id),
    )
    if is_done:
        connection.execute(
            "INSERT INTO staff_recovery_code (digest, account_id) SELECT unnest(%s::bytea[]), %s",
            (list(recovery_codes), account_id),
        )
    return is_done


def change_account(
    connection: Connection,
    name: str,
    now: datetime,
    *,
    roles: Collection[Role] | None,
    disabled: bool | None,
) -> bool:
    """Set the roles, and whether it is disabled; None leaves either. False if there is none."""
    return _is_changed(
        connection,
        """UPDATE staff_account SET roles = COALESCE(%(roles)s, roles),
            disabled_at = CASE %(disabled)s::boolean WHEN true THEN COALESCE(disabled_at, %(now)s)
                WHEN false THEN NULL ELSE disabled_at END
        WHERE name = %(name)s""",
        {
            "roles": sorted(roles) if roles else None,
            "disabled": disabled,
            "now": now,
            "name": name,
        },
    )


def use_totp_step(connection: Connection, account_id: int, step: int) -> bool:
    """Use up the codes up to this time step (RFC 6238 5.2); false if it was used before."""
    return _is_changed(
        connection,
        "UPDATE staff_account SET totp_step = %s, failures = 0, locked_until = NULL"
        " WHERE id = %s AND totp_step < %s",
        (step, account_id, step),
    )


def use_recovery_code(connection: Connection, account_id: int, digest: bytes) -> bool:
    """Use up a recovery code; false if the account has no such code."""
    is_used = _is_changed(
        connection,
        "DELETE FROM staff_recovery_code WHERE account_id = %s AND digest = %s",
        (account_id, digest),
    )
    if is_used:
        connection.execute(
            "UPDATE staff_account SET failures = 0, locked_until = NULL WHERE id = %s",
            (account_id,),
        )
    return is_used


def count_recovery_codes(connection: Connection, account_id: int) -> int:
    """How many codes are left."""
    query = "SELECT count(*) FROM staff_recovery_code WHERE account_id = %s"
    return fetch_count(connection, query, (account_id,))


def count_failure(connection: Connection, account_id: int) -> int:
    """Count a wrong password or code, and return how many there were in a row.

    The row is locked until the transaction ends, so that of many at once each counts.
    """
    query = "UPDATE staff_account SET failures = failures + 1 WHERE id = %s RETURNING failures"
    return fetch_count(connection, query, (account_id,))


def lock_account(connection: Connection, account_id: int, until: datetime) -> None:
    """Let an account wait."""
    connection.execute(
        "UPDATE staff_account SET locked_until = %s WHERE id = %s", (until, account_id)
    )


def _select_accounts(
    connection: Connection, condition: str, *given: object
) -> Iterator[StaffAccount]:
    query = f"SELECT {_COLUMNS} FROM staff_account WHERE {condition}"  # noqa: S608 - of this module
    for account_id, name, roles, *rest in connection.execute(query.encode(), given):
        yield StaffAccount(account_id, name, frozenset(map(Role, roles)), *rest)


def _is_changed(connection: Connection, statement: LiteralString, given: Params) -> bool:
    return connection.execute(statement, given).rowcount > 0


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
    return next(_select_sessions(connection, "AND s.digest = %(digest)s", given), None)


def list_sessions(
    connection: Connection, now: datetime, idle_since: datetime
) -> list[StaffSession]:
    """Every session that is in use, the one seen last first; at most MAX_SESSIONS."""
    given = {"now": now, "idle_since": idle_since, "limit": MAX_SESSIONS}
    order = "ORDER BY s.last_seen_at DESC LIMIT %(limit)s"
    return [*_select_sessions(connection, order, given)]


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
    condition = (
        "AND s.name = %(name)s AND (s.issuer, s.subject)"
        " IS DISTINCT FROM (%(issuer)s::text, %(subject)s::text) LIMIT 1"
    )
    return any(_select_sessions(connection, condition, given))


def touch_session(connection: Connection, session_id: UUID, now: datetime) -> None:
    """Record that a session is in use."""
    connection.execute(
        "UPDATE staff_session SET last_seen_at = %s WHERE id = %s", (now, session_id)
    )


def claim_check(
    connection: Connection, session_id: UUID, seen: datetime, checked_at: datetime
) -> bool:
    """Set when the provider was asked; false if another request has, since that was `seen`."""
    return _is_changed(
        connection,
        "UPDATE staff_session SET checked_at = %s WHERE id = %s AND checked_at = %s",
        (checked_at, session_id, seen),
    )


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


def _select_sessions(
    connection: Connection, condition: str, given: Params
) -> Iterator[StaffSession]:
    query = f"{_SELECT} {condition}".encode()
    for session_id, name, roles, *rest in connection.execute(query, given):
        yield StaffSession(session_id, name, frozenset(map(Role, roles)), *rest)
