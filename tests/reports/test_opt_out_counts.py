"""Breakdowns without small cells."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from preference_center.core.events import OBJECTION_KINDS, EventKind
from preference_center.core.small_cells import MIN_CELL, OTHER
from preference_center.reports.rules import OPT_IN_KINDS, OptOutCounts, break_down

OUT, IN = EventKind.OPTED_OUT, EventKind.OPTED_IN


def test_complaints_are_opt_outs_and_other_kinds_are_left_out() -> None:
    rows = break_down(
        [
            ("page", OUT, 20),
            ("page", EventKind.COMPLAINED, 5),
            ("page", IN, 30),
            ("page", EventKind.BOUNCED, 99),
        ]
    )
    assert rows == [OptOutCounts("page", 25, 30)]
    assert rows[0].net == 5


def test_small_cells_are_merged_and_nothing_says_how_small_they_were() -> None:
    rows = break_down([("page", OUT, 20), ("api", OUT, 3), ("sms", OUT, 8), ("sms", IN, 12)])
    assert rows == [
        OptOutCounts("page", 20, 0),
        OptOutCounts("api", None, 0),
        OptOutCounts("sms", None, 12),
        OptOutCounts(OTHER, 11, 0),
    ]
    assert rows[1].net is rows[2].net is None


def test_what_is_small_altogether_is_left_out() -> None:
    assert break_down([("page", OUT, 3)]) == [OptOutCounts("page", None, 0)]
    assert break_down([]) == []


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([OUT, IN]), st.integers(1, 40)))
)
def test_no_stated_count_is_small_and_none_is_invented(
    counts: list[tuple[str, EventKind, int]],
) -> None:
    rows = break_down(counts)
    stated = [(row.opt_outs, row.opt_ins) for row in rows]
    assert all(n is None or n == 0 or n >= MIN_CELL for pair in stated for n in pair)
    for index, kinds in ((0, OBJECTION_KINDS), (1, OPT_IN_KINDS)):
        total = sum(count for _, kind, count in counts if kind in kinds)
        assert total - MIN_CELL < sum(pair[index] or 0 for pair in stated) <= total
