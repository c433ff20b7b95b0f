"""The clocks of this host and of the database, by which a replay dates what was spooled (I5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from preference_center.core.clocks import HostTime
from preference_center.infra.context import services
from preference_center.infra.db.clock import DatabaseClock, seconds_since_boot
from preference_center.infra.db.transactions import Connection, run_autocommit

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class ReplayTime:
    """What both clocks show when a record is replayed."""

    database: datetime
    host: HostTime


def read_replay_time() -> ReplayTime:
    """Now. Raises Unavailable.

    The database is asked first: the time of its response makes an act older, never younger.
    """
    database = load_database_time()
    return ReplayTime(database, read_host_time())


def read_host_time() -> HostTime:
    """Now, by the clock of this host and by the one that runs since its boot."""
    now = services().now
    at = datetime.fromtimestamp(now.host_time(), UTC) if isinstance(now, DatabaseClock) else now()
    return HostTime(at, *read_boot_clock())


def read_boot_clock() -> tuple[str, timedelta]:
    """The boot of this host, and how long ago it was; on other systems than Linux no boot."""
    boot_id = _load_boot_id()
    if not boot_id:
        return "", timedelta(0)
    return boot_id, timedelta(seconds=seconds_since_boot())


@cache
def _load_boot_id() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def load_database_time() -> datetime:
    """The time of the database's clock (UTC). Raises Unavailable."""
    return run_autocommit(_select_time, never_in_transaction=True).astimezone(UTC)


def _select_time(connection: Connection) -> datetime:
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row  # a SELECT without FROM
    at: datetime = row[0]
    return at


def host_time_to_json(host: HostTime) -> dict[str, str | int]:
    """What a record keeps of its host's clocks: milliseconds since 1970 and since a boot."""
    return {
        "at": (host.at - _EPOCH) // _MILLISECOND,
        "id": host.boot_id,
        "ms": host.since_boot // _MILLISECOND,
    }


def host_time_from_json(received_at: datetime, kept: dict[str, str | int] | None) -> HostTime:
    """What the host showed when a record was received. Raises KeyError, TypeError or ValueError.

    A record of an earlier version kept nothing, or no time of the host's own clock.
    """
    if kept is None:
        return HostTime(received_at)
    at = _EPOCH + int(kept["at"]) * _MILLISECOND if "at" in kept else received_at
    return HostTime(at, str(kept["id"]), int(kept["ms"]) * _MILLISECOND)
