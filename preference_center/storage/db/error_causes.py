"""The cause of an error of psycopg or of the pool (SQLSTATE: PostgreSQL, appendix A)."""

from __future__ import annotations

import psycopg
from sqlalchemy import exc

from preference_center.errors import Unavailable, UnavailableCause
from preference_center.storage.db.connections import DatabaseTimeout

_CAUSES_BY_SQLSTATE = {
    "25006": UnavailableCause.READ_ONLY,  # read_only_sql_transaction: a standby, or it became one
    "25P03": UnavailableCause.STATEMENT_TIMEOUT,  # idle_in_transaction_session_timeout
    "25P04": UnavailableCause.STATEMENT_TIMEOUT,  # transaction_timeout
    "40001": UnavailableCause.LOCK_TIMEOUT,  # serialization_failure
    "40P01": UnavailableCause.LOCK_TIMEOUT,  # deadlock_detected
    "55P03": UnavailableCause.LOCK_TIMEOUT,  # lock_not_available: `lock_timeout`
    "57014": UnavailableCause.STATEMENT_TIMEOUT,  # query_canceled: the time-out, or an operator
}
_CAUSES_BY_CLASS = {
    "08": UnavailableCause.UNREACHABLE,  # connection exceptions
    "53": UnavailableCause.RESOURCES_EXHAUSTED,  # no connection, disk or memory left
    "57": UnavailableCause.UNREACHABLE,  # it stops, has crashed, or still starts
}
_NOT_WRITABLE_MESSAGES = ("session is read-only", "server is in hot standby mode")
"""libpq's messages where `target_session_attrs` is not met; they have no SQLSTATE."""
_MESSAGES = {
    UnavailableCause.UNREACHABLE: "the database can't be reached",
    UnavailableCause.READ_ONLY: "the database takes no writes",
    UnavailableCause.LOCK_TIMEOUT: "the database is too busy",
    UnavailableCause.STATEMENT_TIMEOUT: "a statement took too long",
    UnavailableCause.UNRESPONSIVE: "the database did not answer in time",
    UnavailableCause.RESOURCES_EXHAUSTED: "the database has no connection, memory or disk left",
}


def classify_error(error: Exception) -> UnavailableCause | None:
    """Why the database can't be used; None if the fault is the statement's own."""
    if isinstance(error, exc.TimeoutError):  # the pool's: every connection is in use
        return UnavailableCause.RESOURCES_EXHAUSTED
    if isinstance(error, exc.DBAPIError):
        error = error.orig if isinstance(error.orig, Exception) else error
    if isinstance(error, DatabaseTimeout | psycopg.errors.ConnectionTimeout):
        return UnavailableCause.UNRESPONSIVE
    if not isinstance(error, psycopg.Error):
        return None
    state = error.sqlstate or ""
    if not state and any(words in str(error) for words in _NOT_WRITABLE_MESSAGES):
        return UnavailableCause.READ_ONLY
    found = _CAUSES_BY_SQLSTATE.get(state) or _CAUSES_BY_CLASS.get(state[:2])
    if found is None and isinstance(error, psycopg.OperationalError):
        return UnavailableCause.UNREACHABLE  # without a SQLSTATE: the socket is dead
    return found


def unavailable_error(cause: UnavailableCause) -> Unavailable:
    """The error to raise for it."""
    return Unavailable(_MESSAGES[cause], cause)
