"""A process killed in the middle leaves neither a gap nor a double."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pytest
from flask import Flask

from dev.processes import wait_until
from preference_center.core.events import ALL_MARKETING
from preference_center.infra.config import Settings
from preference_center.infra.db.transactions import run_in_transaction
from tests.lists.imports.importing import books, events, imported, instructions_for, listed, planned

ROOT = Path(__file__).parents[3]
ROWS = 4_000
OPT_OUTS = instructions_for("addresses", ("list", ALL_MARKETING), only="opt-outs")
MOVED = {
    "apply": b"SELECT position > 0 FROM list_import",
    "undo": b"SELECT undone_count > 0 FROM list_import",
}

pytestmark = pytest.mark.faults


def kill_in_the_middle(settings: Settings, words: Sequence[str]) -> None:
    """Run `flask imports WORDS`, and kill it once it has done a part."""
    values = settings.model_dump(exclude_none=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "imports", *words],
        cwd=ROOT,
        env=os.environ | {name.upper(): str(value) for name, value in values.items()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def moved() -> bool:
        row = run_in_transaction(lambda c: c.execute(MOVED[words[0]]).fetchone())
        return bool(row and row[0])

    try:
        assert wait_until(moved, 60)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def only_id() -> UUID:
    row = run_in_transaction(lambda c: c.execute("SELECT id FROM list_import").fetchone())
    assert row
    return UUID(str(row[0]))


def flask(app: Flask, *words: str) -> str:
    result = app.test_cli_runner().invoke(args=["imports", *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_an_import_killed_in_the_middle_is_resumed_to_the_same_books(
    in_force: Flask, settings: Settings, tmp_path: Path
) -> None:
    path = listed(tmp_path / "list", ROWS)
    made, _ = planned(path, OPT_OUTS)
    options = ["--preset", "addresses", "--scope", "list=all_marketing", "--meaning", "opt-outs"]
    kill_in_the_middle(settings, ["apply", str(path), *options, "--plan", made.id])
    done = len(events())
    assert 0 < done < ROWS

    output = flask(in_force, "resume", str(only_id()), str(path), "--no-pause")

    assert f"{ROWS:,}  new" in output
    assert len(events()) == ROWS
    assert len({row[0] for row in books()}) == len(books()) == ROWS


def test_an_undo_killed_in_the_middle_goes_on(
    in_force: Flask, settings: Settings, tmp_path: Path
) -> None:
    import_id = imported(listed(tmp_path / "list", ROWS // 2), OPT_OUTS)
    kill_in_the_middle(settings, ["undo", str(import_id)])
    assert 0 < len(events("kind = 'retracted'")) < ROWS // 2

    assert f"{ROWS // 2:,} events" in flask(in_force, "undo", str(import_id), "--no-pause")
    assert len(events("kind = 'retracted'")) == ROWS // 2
    assert run_in_transaction(
        lambda c: c.execute("SELECT count(*) FROM suppression").fetchone()
    ) == (0,)
