"""How many rows of a claim are those of lists."""

from __future__ import annotations

import pytest

from preference_center.destinations.rules.plan import bulk_share


@pytest.mark.parametrize("limit", [1, 3, 9, 10, 25, 200])
def test_lists_get_a_tenth_of_what_a_tool_takes_however_little_it_takes(limit: int) -> None:  # I3
    shares = [bulk_share(limit, n / 100) for n in range(100)]
    assert sum(shares) == limit * 10
    assert max(shares) <= limit
