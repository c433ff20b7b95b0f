"""De-identified counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from preference_center.core.small_cells import MIN_CELL, OTHER, MonthlyCell, merge_small_cells

CELLS = st.lists(
    st.builds(
        MonthlyCell,
        what=st.sampled_from(["opted_out", "delivery"]),
        scope=st.sampled_from(["news", "offers", "all_marketing"]),
        source=st.sampled_from(["page", "api", "crm"]),
        outcome=st.sampled_from(["", "reflected"]),
        count=st.integers(1, 40),
    ),
    unique_by=lambda cell: (cell.what, cell.scope, cell.source, cell.outcome),
)


def cell(scope: str, count: int) -> MonthlyCell:
    return MonthlyCell("opted_out", scope, "page", "", count)


def test_small_cells_become_one() -> None:
    merged = merge_small_cells([cell("news", 4), cell("offers", 7), cell("events", 12)])
    assert merged == [cell("events", 12), MonthlyCell("opted_out", OTHER, OTHER, OTHER, 11)]


def test_one_small_cell_takes_the_smallest_other_with_it() -> None:
    merged = merge_small_cells([cell("news", 1), cell("offers", 30), cell("events", 12)])
    assert merged == [cell("offers", 30), MonthlyCell("opted_out", OTHER, OTHER, OTHER, 13)]


def test_one_person_alone_is_not_counted() -> None:
    assert merge_small_cells([cell("news", 1)]) == []


@given(CELLS)
def test_no_cell_is_small_and_nothing_is_counted_twice(cells: list[MonthlyCell]) -> None:
    merged = merge_small_cells(cells)
    assert all(each.count >= MIN_CELL for each in merged)
    for what in ("opted_out", "delivery"):
        before = sum(each.count for each in cells if each.what == what)
        after = sum(each.count for each in merged if each.what == what)
        assert after == before or (after == 0 and before < MIN_CELL)
