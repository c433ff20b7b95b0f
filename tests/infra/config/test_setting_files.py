"""What a file of a setting may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from preference_center.infra.config import read_setting_files


def test_white_space_at_the_end_is_no_part_of_a_setting(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b" two words\r\n\n")
    files = read_setting_files({"SECRET_KEY_FILE": str(tmp_path / "key")}, ["secret_key"])
    assert files.values == {"secret_key": " two words"}
    assert not files.problems


@pytest.mark.parametrize(
    "content, reason",
    [(b"", "it is empty"), (b"\n", "it is empty"), (b"\xff", "it is not UTF-8")],
)
def test_a_file_without_a_text_is_a_problem(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    files = read_setting_files({"SECRET_KEY_FILE": str(path)}, ["secret_key"])
    assert files.problems == {"secret_key": f"_FILE: {path} can't be read: {reason}"}


def test_a_folder_and_a_huge_file_are_problems(tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(2**21)
    environ = {"SECRET_KEY_FILE": str(tmp_path), "LINK_KEYS_FILE": str(huge)}
    problems = read_setting_files(environ, ["secret_key", "link_keys"]).problems
    assert "directory" in problems["secret_key"].lower()
    assert "more than a megabyte" in problems["link_keys"]


def test_other_variables_that_end_alike_are_left_alone(tmp_path: Path) -> None:
    environ = {"SOMEBODYS_LOG_FILE": "/nowhere", "SECRET_KEY_FILE": ""}
    files = read_setting_files(environ, ["secret_key"])
    assert not files.values
    assert not files.problems
