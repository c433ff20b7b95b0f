"""What counts as the find of a planted bug."""

from __future__ import annotations

from simulation.planting import Red, read_failure

SEED = "\nseed 12: I3: tool-0 mails somebody\nThe shortest history that was found:\n"
EXCUSED = "TOO OFTEN EXCUSED not twelve hours ago: 300.5 a seed, at most 176.2\n"


def test_a_seed_that_fails_is_found_alone_whatever_is_excused() -> None:
    assert read_failure(SEED + EXCUSED, 10, 5) == Red(12, 1, "I3: tool-0 mails somebody")


def test_what_all_seeds_excuse_too_often_is_a_find_whatever_the_counts() -> None:
    found = read_failure(EXCUSED, 10, 5)
    assert found == Red(10, 5, "too often excused: not twelve hours ago")
    assert found == read_failure(EXCUSED.replace("300.5", "200.0"), 10, 5)


def test_nothing_is_found_where_nothing_fails() -> None:
    assert read_failure("15 seeds of 72 h: 0 failed\n", 1, 15) is None
