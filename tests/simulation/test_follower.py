"""The copy of a reader of the feed, compared with a snapshot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from preference_center.core.events import EventKind, ScopeState, Timestamped
from simulation.follower import Follower

AT = datetime(2026, 3, 1, tzinfo=UTC)


def follower(later: timedelta, *, own: bool = True, event: int = 1) -> Follower:
    newest = Timestamped(AT + later, UUID(int=event))
    return Follower(
        copy={(1, "news"): ScopeState(opt_out=newest, reason=EventKind.OPTED_OUT, own_act=own)}
    )


@pytest.mark.parametrize("seconds", [0, 1, 5])
def test_a_copy_may_lack_the_time_of_a_repeated_press(seconds: int) -> None:
    assert follower(timedelta(0)).holds(follower(timedelta(seconds=seconds)))


@pytest.mark.parametrize(
    "other",
    [
        follower(timedelta(seconds=6)),
        follower(timedelta(seconds=-1)),
        follower(timedelta(seconds=1), event=2),
        follower(timedelta(0), own=False),
    ],
)
def test_a_copy_lacks_no_other_act(other: Follower) -> None:
    assert not follower(timedelta(0)).holds(other)


def test_a_copy_lacks_nothing_of_a_snapshot() -> None:
    assert not Follower().holds(follower(timedelta(0)))
    assert not follower(timedelta(0)).holds(Follower())
