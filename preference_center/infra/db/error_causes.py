"""`classify_error` finds why the database can't be used, from an error of psycopg or of the pool.

SQLSTATE: PostgreSQL, appendix A.
"""

from __future__ import annotations

import psycopg
from sqlalchemy import exc

from preference_center.core.errors import Unavailable, UnavailableCause
from preference_center.infra import metrics


class DatabaseTimeout(psycopg.OperationalError):
    """The server did not respond by the deadline. The connection is closed."""


_CAUSES_BY_SQLSTATE = {
    "0A000": UnavailableCause.REFUSED,  # feature_not_supported: Aurora, for some functions
    "25006": UnavailableCause.READ_ONLY,  # read_only_sql_transaction: a standby, or it became one
    "25P03": UnavailableCause.STATEMENT_TIMEOUT,  # idle_in_transaction_session_timeout
    "25P04": UnavailableCause.STATEMENT_TIMEOUT,  # transaction_timeout
    "3D000": UnavailableCause.REFUSED,  # invalid_catalog_name: there is no such database
    "40001": UnavailableCause.LOCK_TIMEOUT,  # serialization_failure
    "40P01": UnavailableCause.LOCK_TIMEOUT,  # deadlock_detected
    "42501": UnavailableCause.REFUSED,  # insufficient_privilege
    "42703": UnavailableCause.SCHEMA,  # undefined_column
    "42704": UnavailableCause.SCHEMA,  # undefined_object: a type
    "42883": UnavailableCause.SCHEMA,  # undefined_function
    "42P01": UnavailableCause.SCHEMA,  # undefined_table
    "42P10": UnavailableCause.SCHEMA,  # invalid_column_reference: an ON CONFLICT without its index
    "53100": UnavailableCause.DISK_FULL,
    "55000": UnavailableCause.REFUSED,  # object_not_in_prerequisite_state: Aurora, for others
    "55P03": UnavailableCause.LOCK_TIMEOUT,  # lock_not_available: `lock_timeout`
    "57014": UnavailableCause.STATEMENT_TIMEOUT,  # query_canceled: the time-out, or an operator
}


_CAUSES_BY_CLASS = {
    "08": UnavailableCause.UNREACHABLE,  # connection exceptions
    "28": UnavailableCause.REFUSED,  # invalid authorization
    "53": UnavailableCause.RESOURCES_EXHAUSTED,  # no connection or memory left
    "57": UnavailableCause.UNREACHABLE,  # it stops, has crashed, or still starts
    "58": UnavailableCause.SERVER_ERROR,  # system errors, of its disk for example
    "XX": UnavailableCause.SERVER_ERROR,  # internal errors, damaged data
}


_CAUSES_BY_MESSAGE = {
    "session is read-only": UnavailableCause.READ_ONLY,
    "server is in hot standby mode": UnavailableCause.READ_ONLY,
    "authentication failed": UnavailableCause.REFUSED,
    "no password supplied": UnavailableCause.REFUSED,
    "no pg_hba.conf entry": UnavailableCause.REFUSED,
    "is not permitted to log in": UnavailableCause.REFUSED,
    "does not exist": UnavailableCause.REFUSED,  # the database or the role
    "permission denied": UnavailableCause.REFUSED,
    "certificate verify failed": UnavailableCause.REFUSED,
    "too many": UnavailableCause.RESOURCES_EXHAUSTED,  # connections, clients
    "connection slots are reserved": UnavailableCause.RESOURCES_EXHAUSTED,
    "no more connections allowed": UnavailableCause.RESOURCES_EXHAUSTED,  # PgBouncer
    "No space left on device": UnavailableCause.DISK_FULL,
}
"""Parts of libpq's messages where no connection could be made; they have no SQLSTATE."""


_MESSAGES = {
    UnavailableCause.UNREACHABLE: "the database can't be reached",
    UnavailableCause.READ_ONLY: "the database takes no writes",
    UnavailableCause.LOCK_TIMEOUT: "the database is too busy",
    UnavailableCause.STATEMENT_TIMEOUT: "a statement took too long",
    UnavailableCause.UNRESPONSIVE: "the database did not answer in time",
    UnavailableCause.RESOURCES_EXHAUSTED: "the database has no connection or memory left",
    UnavailableCause.DISK_FULL: "the disk of the database is full",
    UnavailableCause.REFUSED: "the database refuses what the service needs",
    UnavailableCause.SCHEMA: "the database has other tables",
    UnavailableCause.KEYS: "the digests of the database have a newer key",
    UnavailableCause.SERVER_ERROR: "the database reports an error of its own",
}


_STATED_CAUSES = {
    UnavailableCause.RESOURCES_EXHAUSTED,
    UnavailableCause.DISK_FULL,
    UnavailableCause.REFUSED,
    UnavailableCause.SCHEMA,
    UnavailableCause.SERVER_ERROR,
}
"""The server's words for these name functions, tables and settings, never data (I12)."""


def classify_error(error: Exception) -> UnavailableCause | None:
    """Why the database can't be used; None if the fault is the statement's own."""
    if isinstance(error, exc.TimeoutError):  # the pool's: every connection is in use
        return UnavailableCause.RESOURCES_EXHAUSTED
    error = _driver_error(error)
    if isinstance(error, DatabaseTimeout | psycopg.errors.ConnectionTimeout):
        return UnavailableCause.UNRESPONSIVE
    if not isinstance(error, psycopg.Error):
        return None
    if error.sqlstate:
        found = _CAUSES_BY_SQLSTATE.get(error.sqlstate)
        return found or _CAUSES_BY_CLASS.get(error.sqlstate[:2])
    if not isinstance(error, psycopg.OperationalError):
        return None
    text = str(error)
    stated = (cause for words, cause in _CAUSES_BY_MESSAGE.items() if words in text)
    return next(stated, UnavailableCause.UNREACHABLE)  # else the socket is dead


def unavailable_error(cause: UnavailableCause, error: Exception) -> Unavailable:
    """The error to raise for `error`, which has this cause; it is counted."""
    metrics.count_unavailable(cause)
    return Unavailable(_MESSAGES[cause], cause, _state_reason(cause, error))


def _state_reason(cause: UnavailableCause, error: Exception) -> str:
    """What the server stated: its SQLSTATE and the first line, where that names no data."""
    error = _driver_error(error)
    if cause not in _STATED_CAUSES or not isinstance(error, psycopg.Error):
        return ""
    text = error.diag.message_primary or str(error).partition("\n")[0]
    return f"{error.sqlstate}: {text}" if error.sqlstate else text


def _driver_error(error: Exception) -> Exception:
    """What psycopg raised, if SQLAlchemy wrapped it."""
    if isinstance(error, exc.DBAPIError) and isinstance(error.orig, Exception):
        return error.orig
    return error
