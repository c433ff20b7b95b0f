"""Times to reflect: exact counts past each limit, percentiles between the bounds of a bucket."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference_center.core.deadlines import AT_RISK, TARGET, WINDOW
from preference_center.destinations.rules.promise import (
    BOUNDS,
    BucketCount,
    ReflectionTimes,
    bucket_of,
    count_reflected,
)
from preference_center.destinations.rules.states import (
    LANE_BEGINNING,
    NOT_PUSHED,
    Settlement,
    SyncClaim,
)
from preference_center.integrations.base.contract import PushResult
from tests.clock import START

CLAIM = SyncClaim(1, 7, 0, START + WINDOW, 0, (), None, LANE_BEGINNING)
SETTLED = Settlement(1, 7, 0, PushResult.REFLECTED, "", is_done=True, is_final=True, next_at=None)


def histogram(times: list[timedelta]) -> ReflectionTimes:
    buckets: dict[int, BucketCount] = {}
    for time in times:
        found = buckets.get(bucket_of(time), BucketCount(0, time))
        buckets[bucket_of(time)] = BucketCount(found.count + 1, max(found.longest, time))
    return ReflectionTimes("mailer", buckets)


def test_counts_of_years_are_read_by_the_bounds_that_they_were_stored_with() -> None:
    seconds = [each.total_seconds() for each in BOUNDS]
    minute, hour, day = 60, 3600, 86400
    assert seconds == [
        10, 30, minute, 5 * minute, 15 * minute, hour, 4 * hour, 12 * hour, day, 36 * hour,
        2 * day, 3 * day, 7 * day, 30 * day,
    ]  # fmt: skip


def test_the_bounds_rise_and_have_the_limits_of_the_promise() -> None:
    assert list(BOUNDS) == sorted(set(BOUNDS))
    assert {timedelta(hours=24), AT_RISK, TARGET, WINDOW} <= set(BOUNDS)
    assert bucket_of(timedelta(0)) == 0
    assert bucket_of(WINDOW) == bucket_of(WINDOW - timedelta(microseconds=1)) + 1  # overdue (I3)


@given(st.lists(st.timedeltas(timedelta(0), timedelta(days=90)), min_size=1, max_size=80))
def test_what_is_past_a_limit_is_counted_exactly_and_percentiles_are_in_their_bucket(
    times: list[timedelta],
) -> None:
    found = histogram(times)
    ordered = sorted(times)
    assert found.count == len(times)
    assert found.longest == ordered[-1]
    for bound in (timedelta(hours=24), AT_RISK, TARGET, WINDOW):
        assert found.count_from(bound) == sum(time >= bound for time in times)
    for share in (0.5, 0.95, 1.0):
        exact = ordered[max(0, -(-len(times) * int(share * 100) // 100) - 1)]
        stated = found.percentile(share)
        assert stated is not None
        assert abs(bucket_of(stated) - bucket_of(exact)) <= 1  # at the bound it may be the next
        assert stated <= found.longest


def test_a_percentile_is_interpolated_between_the_bounds() -> None:
    hours = [timedelta(hours=4 + 8 * n / 100, minutes=0) for n in range(100)]
    median = histogram(hours).percentile(0.5)
    assert median is not None
    assert abs(median - timedelta(hours=8)) < timedelta(minutes=10)
    assert ReflectionTimes("mailer", {}).percentile(0.5) is None


def test_percentiles_are_those_of_the_times_in_order() -> None:
    minutes = [timedelta(minutes=2)] * 4 + [timedelta(minutes=10)] * 4 + [timedelta(hours=2)] * 2
    found = histogram(minutes)
    assert found.percentile(0.2) == timedelta(minutes=1) + timedelta(minutes=1) / 2
    assert found.percentile(0.4) == timedelta(minutes=2)
    assert found.percentile(0.6) == timedelta(minutes=5) + timedelta(minutes=5) / 2
    assert found.percentile(1.0) == timedelta(hours=2)
    quick = ReflectionTimes("mailer", {0: BucketCount(2, timedelta(seconds=8))})
    assert quick.percentile(0.5) == timedelta(seconds=4)
    assert quick.percentile(0.0) == timedelta(0)
    longest = ReflectionTimes("mailer", {len(BOUNDS): BucketCount(1, timedelta(days=40))})
    assert longest.percentile(0.5) == timedelta(days=35)
    gap = ReflectionTimes(
        "mailer", {0: BucketCount(0, timedelta(0)), 1: BucketCount(1, timedelta(seconds=30))}
    )
    assert gap.percentile(0.0) == timedelta(seconds=10)


def test_nothing_has_no_longest_time() -> None:
    none = ReflectionTimes("mailer", {})
    assert (none.count, none.longest) == (0, timedelta(0))


def test_times_of_one_bucket_are_added_up_and_a_clock_behind_makes_none_negative() -> None:
    claims = {n: replace(CLAIM, address_id=n, due_at=START + WINDOW) for n in range(1, 4)}
    rows = [replace(SETTLED, address_id=n) for n in claims]
    claims[2] = replace(claims[2], due_at=START + WINDOW - timedelta(seconds=9))
    claims[3] = replace(claims[3], due_at=None)
    assert count_reflected(claims, [*rows[2:], *rows[:2]], {1, 2, 3}, START) == {
        0: BucketCount(2, timedelta(seconds=9))
    }
    early = START - timedelta(seconds=5)
    assert count_reflected(claims, rows[:1], {1}, early) == {0: BucketCount(1, timedelta(0))}


def test_the_time_is_from_the_receipt_of_the_earliest_opt_out_that_was_due() -> None:
    now = START + timedelta(hours=50)
    (found,) = count_reflected({1: CLAIM}, [SETTLED], {1}, now).values()
    assert found == BucketCount(1, timedelta(hours=50))


@pytest.mark.parametrize(
    "claim, settlement, settled",
    [
        (replace(CLAIM, due_at=None), SETTLED, {1}),  # a lift, which has no deadline
        (CLAIM, replace(SETTLED, outcome=NOT_PUSHED), {1}),
        (CLAIM, replace(SETTLED, outcome=PushResult.REFUSED), {1}),
        (CLAIM, SETTLED, set()),  # another opt-out came meanwhile, or the lease was lost
    ],
)
def test_nothing_else_counts(claim: SyncClaim, settlement: Settlement, settled: set[int]) -> None:
    assert count_reflected({1: claim}, [settlement], settled, START) == {}


def test_a_contact_that_the_tool_does_not_have_counts() -> None:
    absent = replace(SETTLED, outcome=PushResult.ABSENT)
    assert count_reflected({1: CLAIM}, [absent], {1}, START) == {0: BucketCount(1, timedelta(0))}
