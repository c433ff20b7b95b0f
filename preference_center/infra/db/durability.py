"""Whether commits that the database acknowledged survive a crash (I1)."""

from __future__ import annotations

import structlog

from preference_center.core.errors import NotDurable
from preference_center.infra.db.database import Connection

log = structlog.get_logger()

_SHOW_SETTINGS = """SELECT current_setting('synchronous_commit'), current_setting('fsync'),
    current_setting('synchronous_standby_names')"""


def require_durable(connection: Connection) -> None:
    """Raise NotDurable if a session's commits may be lost after they were acknowledged.

    `synchronous_commit=off` loses the last ones in a crash; `local` loses them in a failover, if
    there is a synchronous standby (PostgreSQL, 20.5.1). `fsync=off` is for tests and only logged.
    """
    row = connection.execute(_SHOW_SETTINGS).fetchone()
    assert row  # a SELECT without FROM
    commit, fsync, standbys = row
    if commit == "off" or (commit == "local" and standbys):
        raise NotDurable(
            f"synchronous_commit is {commit}: an opt-out that was acknowledged could be lost."
            " Set it back to on, for the server or for our role:"
            " ALTER ROLE ... SET synchronous_commit = on"
        )
    if fsync == "off":
        log.warning("database_not_durable", fsync=fsync)
