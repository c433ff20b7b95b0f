"""docs/promises.md names a test of each promise, which exists."""

from __future__ import annotations

import re

from tests.docs.reading import ROOT, rows

PAGE = ROOT / "docs/promises.md"

PROMISES = rows(PAGE, "| # | promised | kept by | held by | kept partly: why |")


def test_each_promise_is_there_once_and_in_order() -> None:
    assert list(PROMISES) == [f"S{number}" for number in range(1, 32)]


def test_each_is_kept_by_something_and_held_by_a_test_that_exists() -> None:
    for number, (_, kept_by, held_by, _) in PROMISES.items():
        assert kept_by, number
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", held_by)
        assert named, number
        for path, name in named:
            source = (ROOT / path).read_text(encoding="utf-8")
            assert re.search(rf"^ *def {name}\(", source, re.MULTILINE), f"{number}: {name}"


def test_the_counts_are_right() -> None:
    partly = sum(bool(cells[-1]) for cells in PROMISES.values())
    kept = f"{len(PROMISES) - partly} are kept and {partly} partly"
    assert kept in PAGE.read_text(encoding="utf-8")
