"""How `make test` hands out the files."""

from __future__ import annotations

from tests.order import ROOT, dealt, is_slow

RUN = ROOT / "dev" / "test_run.py"
FAULTS = [ROOT / "faults" / f"test_{number}.py" for number in range(3)]
SHORT = [ROOT / "core" / f"test_{number}.py" for number in range(10)]


def test_long_files_are_dealt_among_the_others_and_none_is_the_last() -> None:
    found = dealt([*SHORT, *FAULTS, RUN])
    assert found == [
        RUN, *SHORT[:2], FAULTS[0], *SHORT[2:4], FAULTS[1], *SHORT[4:6], FAULTS[2], *SHORT[6:],
    ]  # fmt: skip


def test_each_file_is_named_once_and_those_of_a_kind_keep_their_order() -> None:
    assert dealt([SHORT[0], SHORT[0], SHORT[1], SHORT[0]]) == SHORT[:2]
    assert dealt(FAULTS) == FAULTS
    assert dealt([]) == []


def test_slow_ones_are_left_to_a_run_of_their_own_and_a_cheaper_sibling_stays() -> None:
    name = "test_opt_outs_do_not_feel_that_redis_goes_and_are_delivered_after"
    redis = ROOT / "faults" / "test_redis.py"
    assert [is_slow(redis, f"{name}[{way}]") for way in ("stopped", "frozen", "killed")] == [
        False,
        True,
        True,
    ]
