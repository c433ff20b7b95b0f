"""What `flask spool` reports of a host, and replays there."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from preference_center.ledger.spool import SpoolFolder
from preference_center.ledger.spool.frames import encode_frame
from tests.clock import START, Clock

if TYPE_CHECKING:
    from flask import Flask

MEBIBYTE = 1024 * 1024


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def app(app: Flask, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The service as on a host that has a spool, but no process that serves."""
    from dataclasses import replace

    from preference_center.infra.context import EXTENSION_NAME
    from preference_center.ledger.spool import recorder

    wired = app.extensions[EXTENSION_NAME]
    settings = wired.settings.model_copy(update={"spool_dir": str(folder)})
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(wired, settings=settings))
    monkeypatch.setitem(app.extensions, recorder.EXTENSION_KEY, None)
    return app


def leave(app: Flask, folder: Path, request: dict[str, object]) -> None:
    """Leave a record as a process does that ended."""
    from preference_center.infra.context import services

    with app.app_context():
        sealed = services().links.seal_request(request)
    spool = SpoolFolder(folder, MEBIBYTE)
    spool.ensure_exists()
    held = spool.create_file()
    held.append(encode_frame(sealed, START))
    held.close()


def run(app: Flask, *args: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["spool", *args])
    return result.exit_code, result.output


def test_an_empty_spool_is_all_right(app: Flask) -> None:
    code, text = run(app, "status")
    assert code == 0
    assert text.splitlines() == [
        "waiting: 0",
        "bytes: 0",
        "damaged files: 0",
        "rejected files: 0",
        "unreadable files: 0",
        "writable: yes",
    ]


def test_what_waits_for_more_than_a_minute_is_an_alarm(
    app: Flask, folder: Path, clock: Clock
) -> None:  # I3
    leave(app, folder, {"kind": "opt_outs", "changes": []})
    assert run(app, "status")[0] == 0
    clock.advance(timedelta(minutes=2))
    code, text = run(app, "status")
    assert code == 1
    assert "waiting: 1\noldest received at: 2026-11-24 09:00:00 UTC\n" in text


def test_it_is_recorded_on_demand(app: Flask, folder: Path) -> None:
    leave(app, folder, {"kind": "opt_outs", "changes": []})
    code, text = run(app, "replay")
    assert code == 0
    assert text.endswith("recorded: 1\nstill waiting: 0\nrejected: 0\ndamaged: 0\n")
    assert run(app, "status")[0] == 0


def test_what_can_never_be_recorded_is_an_alarm(app: Flask, folder: Path) -> None:
    leave(app, folder, {"kind": "opt_outs", "changes": [{}]})
    assert run(app, "replay")[0] == 1
    code, text = run(app, "status")
    assert code == 1
    assert "rejected files: 1" in text


def test_without_a_folder_it_names_the_setting(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from preference_center.infra.context import EXTENSION_NAME

    wired = app.extensions[EXTENSION_NAME]
    settings = wired.settings.model_copy(update={"spool_dir": "none"})
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(wired, settings=settings))
    for command in ("status", "replay"):
        code, text = run(app, command)
        assert code == 1
        assert "SPOOL_DIR" in text
