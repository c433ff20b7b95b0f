"""How many rows a claim has, of which lanes, and where the next one begins (I3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from preference_center.destinations.rules.plan import (
    bulk_share,
    claim_limit,
    halvings,
    includes_bulk_lane,
    next_position,
)
from preference_center.destinations.rules.states import LANE_BEGINNING, LanePosition, SyncClaim
from tests.core.histories import NOW
from tests.destinations.rules.reports import DESTINATION
from tests.destinations.tool import Tool


@pytest.mark.parametrize("limit", [1, 3, 9, 10, 25, 200])
def test_lists_get_a_tenth_of_what_a_tool_takes_however_little_it_takes(limit: int) -> None:  # I3
    shares = [bulk_share(limit, n / 100) for n in range(100)]
    assert sum(shares) == limit * 10
    assert max(shares) <= limit


@pytest.mark.parametrize("failures, limit", [(0, 100), (1, 50), (2, 25), (6, 1), (7, 1), (12, 1)])
def test_each_failure_halves_a_claim_down_to_one_row(failures: int, limit: int) -> None:  # I3
    capabilities = replace(Tool.capabilities, batch_size=100)
    assert claim_limit(replace(DESTINATION, failures=failures), capabilities) == limit


@pytest.mark.parametrize("size", [1, 2, 19, 100, 1000])
def test_after_that_many_failures_a_claim_is_one_row(size: int) -> None:  # I3
    capabilities = replace(Tool.capabilities, batch_size=size)
    most = halvings(capabilities)
    assert claim_limit(replace(DESTINATION, failures=most), capabilities) == 1
    assert most == 0 or claim_limit(replace(DESTINATION, failures=most - 1), capabilities) > 1


def test_lists_wait_for_the_opt_outs_of_the_tool_itself_and_for_scans() -> None:  # I13
    read = replace(DESTINATION, pulled_at=NOW)
    scanned = replace(Tool.capabilities, backfills_by_scan=True)
    assert includes_bulk_lane(read, Tool.capabilities, is_fresh_lane=False)
    assert not includes_bulk_lane(DESTINATION, Tool.capabilities, is_fresh_lane=False)
    assert not includes_bulk_lane(read, Tool.capabilities, is_fresh_lane=True)
    assert not includes_bulk_lane(read, scanned, is_fresh_lane=False)


LATER = LanePosition(NOW, NOW + timedelta(minutes=1))
ROW = SyncClaim(1, 2, 1, None, 0, (), None, LATER)


@pytest.mark.parametrize("rows, share", [(10, None), (10, 0), (9, 1), (10, 1)])
def test_after_a_full_claim_the_next_goes_on_behind_it(rows: int, share: int | None) -> None:
    claims = [ROW, *[replace(ROW, next_position=LANE_BEGINNING)] * (rows - 1)]
    assert next_position(claims, LANE_BEGINNING, 10, share, is_fresh_lane=False) == LATER


@pytest.mark.parametrize("rows, share", [(9, None), (9, 0), (8, 1), (1, 1)])
def test_after_a_smaller_one_it_begins_anew_and_ends_there(rows: int, share: int | None) -> None:
    claims = [ROW] * rows
    assert next_position(claims, LATER, 10, share, is_fresh_lane=False) == LANE_BEGINNING
    assert next_position(claims, LANE_BEGINNING, 10, share, is_fresh_lane=False) is None


def test_in_the_fresh_lane_any_claim_is_followed_by_another() -> None:  # I3
    assert next_position([ROW], LANE_BEGINNING, 10, None, is_fresh_lane=True) == LANE_BEGINNING
    assert next_position([ROW], LANE_BEGINNING, 1, None, is_fresh_lane=True) == LATER
    assert next_position([], LANE_BEGINNING, 10, None, is_fresh_lane=True) is None


def test_an_empty_claim_is_never_full() -> None:
    assert next_position([], LATER, 1, 1, is_fresh_lane=False) == LANE_BEGINNING
