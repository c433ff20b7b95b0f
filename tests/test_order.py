"""How `make test` hands out the files."""

from __future__ import annotations

from tests.order import ROOT, dealt, is_slow

RUN = ROOT / "dev" / "test_run.py"
LONG = [ROOT / "deploy" / f"test_{number}.py" for number in range(3)]
SHORT = [ROOT / "core" / f"test_{number}.py" for number in range(10)]


def test_long_files_are_dealt_among_the_others_and_none_is_the_last() -> None:
    found = dealt([*SHORT, *LONG, RUN])
    assert found == [
        RUN, *SHORT[:2], LONG[0], *SHORT[2:4], LONG[1], *SHORT[4:6], LONG[2], *SHORT[6:],
    ]  # fmt: skip


def test_each_file_is_named_once_and_those_of_a_kind_keep_their_order() -> None:
    assert dealt([SHORT[0], SHORT[0], SHORT[1], SHORT[0]]) == SHORT[:2]
    assert dealt(LONG) == LONG
    assert dealt([]) == []


def test_what_kills_processes_is_left_to_another_target() -> None:
    assert is_slow(ROOT / "faults" / "test_web.py", "test_it")
    assert not is_slow(SHORT[0], "test_it")
    name = "test_every_row_gets_the_answer_of_the_api"
    matching = ROOT / "lists" / "scrub" / "test_matching.py"
    assert [is_slow(matching, f"{name}[{cores}]") for cores in (1, 2)] == [False, True]
