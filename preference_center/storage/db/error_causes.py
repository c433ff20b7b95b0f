"""What an error of psycopg or of the pool says about the database (PostgreSQL, appendix A)."""

from __future__ import annotations

import psycopg
from sqlalchemy import exc

from preference_center.errors import Cause, Unavailable
from preference_center.storage.db.connections import NoAnswer

_CAUSES = {
    "25006": Cause.READ_ONLY,  # read_only_sql_transaction: a standby, or it became one
    "25P03": Cause.TIMEOUT,  # idle_in_transaction_session_timeout
    "25P04": Cause.TIMEOUT,  # transaction_timeout
    "40001": Cause.LOCK,  # serialization_failure
    "40P01": Cause.LOCK,  # deadlock_detected
    "55P03": Cause.LOCK,  # lock_not_available: `lock_timeout`
    "57014": Cause.TIMEOUT,  # query_canceled: `statement_timeout`, or an operator
}
_CLASSES = {
    "08": Cause.UNREACHABLE,  # connection exceptions
    "53": Cause.FULL,  # no connection, disk or memory left
    "57": Cause.UNREACHABLE,  # it stops, has crashed, or still starts
}
_REFUSED = ("session is read-only", "server is in hot standby mode")
"""What libpq says where `target_session_attrs` is not met; it has no SQLSTATE for it."""
_MESSAGES = {
    Cause.UNREACHABLE: "the database can't be reached",
    Cause.READ_ONLY: "the database takes no writes",
    Cause.LOCK: "the database is too busy",
    Cause.TIMEOUT: "a statement took too long",
    Cause.SILENT: "the database did not answer in time",
    Cause.FULL: "the database has no connection, memory or disk left",
}


def cause_of(error: Exception) -> Cause | None:
    """Why the database can't be used; None if the fault is the statement's own."""
    if isinstance(error, exc.TimeoutError):  # the pool's: every connection is in use
        return Cause.FULL
    if isinstance(error, exc.DBAPIError):
        error = error.orig if isinstance(error.orig, Exception) else error
    if isinstance(error, NoAnswer | psycopg.errors.ConnectionTimeout):
        return Cause.SILENT
    if not isinstance(error, psycopg.Error):
        return None
    state = error.sqlstate or ""
    if not state and any(words in str(error) for words in _REFUSED):
        return Cause.READ_ONLY
    found = _CAUSES.get(state) or _CLASSES.get(state[:2])
    if found is None and isinstance(error, psycopg.OperationalError):
        return Cause.UNREACHABLE  # without a SQLSTATE: the socket is dead
    return found


def unavailable(cause: Cause) -> Unavailable:
    """The error to raise for it."""
    return Unavailable(_MESSAGES[cause], cause)
