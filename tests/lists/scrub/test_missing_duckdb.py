"""Where the extra `scrub` is not installed, commands name it."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

LIST = "email\nada@example.com\n"


@pytest.mark.parametrize(
    "words",
    [
        ["snapshot", "make", "made.parquet"],
        ["snapshot", "inspect", "list.csv"],
        ["scrub", "list.csv", "--message-type", "x", "-o", "clean.csv", "--removed", "no.csv"],
    ],
    ids=" ".join,
)
def test_a_command_says_what_to_install(
    app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.csv").write_text(LIST)
    monkeypatch.setattr("preference_center.lists.scrub.find_spec", lambda _: None)
    done = app.test_cli_runner().invoke(args=words)
    assert done.exit_code == 1
    assert "pip install 'preference-center[scrub]'" in done.output
    assert {path.name for path in tmp_path.iterdir()} == {"list.csv"}
