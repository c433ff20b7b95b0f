"""The age of an act is what one host's clocks say; its time is the database's, less that age (I5).

A host whose clock is behind dates an act too early. By its own clock it knows how long ago that
was, as long as nobody set the clock meanwhile; and what runs since the host's boot nobody sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class HostTime:
    """What the clocks of a host show at one moment."""

    at: datetime
    """By the host's own clock, also in a process that knows the database's."""
    boot_id: str = ""
    """Differs with each boot of each host; empty where that is not known."""
    since_boot: timedelta = timedelta(0)
    """Runs while the host is suspended, too; nobody can set it."""


def age_of(then: HostTime, now: HostTime) -> timedelta:
    """How long ago `then` was, by clocks of one host; never negative."""
    if then.boot_id and then.boot_id == now.boot_id:
        return max(now.since_boot - then.since_boot, timedelta(0))
    return max(now.at - then.at, timedelta(0))


def correct_time(said: datetime, then: HostTime, now: HostTime, database_now: datetime) -> datetime:
    """When an act happened by the database's clock, which a process dated `said`.

    Its host showed `then`, and shows `now` when the database shows `database_now`. The result is
    never before `said`: that process may have dated an older opt-in of the same person by the same
    clock, ahead of the database's. It is never in the future.
    """
    return min(max(said, database_now - age_of(then, now)), database_now)
