"""The difference of two texts by line, and brands' files by name in an editor."""

from __future__ import annotations

from preference_center.catalogue import inline_files
from preference_center.catalogue.rules.brand import fold_files
from preference_center.catalogue.rules.diff import DiffLine, LineChange, diff_texts

PICTURE = b'<svg xmlns="http://www.w3.org/2000/svg"/>'


def test_equal_texts_have_no_difference() -> None:
    assert diff_texts("a\nb", "a\nb") == []


def test_lines_have_their_numbers_in_both_texts() -> None:
    (run,) = diff_texts("a\nb\nc", "a\nB\nd\nc")
    assert run == [
        DiffLine(LineChange.SAME, "a", 1, 1),
        DiffLine(LineChange.REMOVED, "b", 2, None),
        DiffLine(LineChange.ADDED, "B", None, 2),
        DiffLine(LineChange.ADDED, "d", None, 3),
        DiffLine(LineChange.SAME, "c", 3, 4),
    ]


def test_changes_that_are_far_apart_are_runs_of_their_own() -> None:
    old = [str(number) for number in range(40)]
    new = ["first", *old[1:-1], "last"]
    first, last = diff_texts("\n".join(old), "\n".join(new))
    assert [line.text for line in first] == ["0", "first", "1", "2", "3"]
    assert [line.text for line in last] == ["36", "37", "38", "39", "last"]


def test_a_file_of_a_brand_is_folded_to_its_name_and_back() -> None:
    whole = inline_files('logo = "file:logo.svg"\nname = "Acme"', lambda _name: PICTURE)
    folded, files = fold_files(whole)
    assert folded.startswith('logo = "file:stored/')
    assert [*files.values()] == [PICTURE]
    assert inline_files(folded, files.__getitem__) == whole


def test_a_uri_that_was_written_by_hand_stays() -> None:
    for value in ("data:image/svg+xml,<svg/>", "data:image/png;base64,not base64!"):
        text = f'logo = "{value}"'
        assert fold_files(text) == (text, {})
