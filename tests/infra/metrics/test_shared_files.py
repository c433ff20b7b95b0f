"""Several workers of one server answer as one."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest.mock import Mock

import pytest
from flask import Flask

from preference_center.infra import metrics
from preference_center.infra.metrics import render_metrics

WORKERS = """
import multiprocessing as mp
from pathlib import Path
from unittest.mock import Mock

def work(number, folders):
    from preference_center.infra import metrics
    metrics.count_opt_outs(metrics.OptOutOutcome.SPOOLED, number)
    folders.put((str(metrics.SHARED_FOLDER), metrics.render_metrics().decode()))

if __name__ == "__main__":
    context = mp.get_context("spawn")
    folders = context.Queue()
    for number in (1, 2, 4):
        process = context.Process(target=work, args=(number, folders))
        process.start()
        folder, text = folders.get(timeout=60)  # a process that failed puts nothing
        process.join()
    print(folder)
    print(text)
"""


def test_a_worker_answers_for_all_also_for_those_that_ended(tmp_path: Path) -> None:
    script = tmp_path / "workers.py"
    script.write_text(WORKERS)
    done = subprocess.run(
        [sys.executable, script],
        env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(Path.cwd())},
        check=True,
        capture_output=True,
        text=True,
    )
    folder = Path(done.stdout.splitlines()[0])
    assert 'preference_center_opt_outs_total{outcome="spooled"} 7.0' in done.stdout
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700


FORKED = """
import multiprocessing as mp, os
from workers.web import preload

def work(number):
    from preference_center.infra import metrics
    metrics.count_opt_outs(metrics.OptOutOutcome.SPOOLED, number)
    if number == 4:
        print(metrics.render_metrics().decode(), flush=True)

preload(["preference_center.infra.metrics"])
for number in (1, 2, 4):
    process = mp.get_context("fork").Process(target=work, args=(number,))
    process.start()
    process.join()
"""


def test_workers_forked_by_a_server_that_has_imported_the_metrics_answer_for_all(
    tmp_path: Path,
) -> None:
    environ = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        [sys.executable, "-c", FORKED], env=environ, check=True, capture_output=True, text=True
    )
    assert 'preference_center_opt_outs_total{outcome="spooled"} 7.0' in done.stdout


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    folder = metrics._make_folder(tmp_path, os.getpid())
    folder.chmod(0o777)
    with pytest.raises(PermissionError):
        metrics._make_folder(tmp_path, os.getpid())


def test_the_folder_of_a_server_that_ended_is_deleted(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    old = tmp_path / f"preference-center-metrics-{os.getuid()}-{ended.pid}"
    old.mkdir()
    ours = metrics._make_folder(tmp_path, os.getpid())
    assert [*tmp_path.iterdir()] == [ours]


def test_a_process_that_is_no_worker_counts_in_memory() -> None:
    assert metrics.share_between_workers() is None
    assert b"preference_center_opt_outs_total" in render_metrics()


def test_a_worker_that_counts_alone_says_so(
    app: Flask, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics.warn_if_not_shared(None)  # no worker
    assert not capsys.readouterr().err
    monkeypatch.setattr(multiprocessing, "parent_process", object)
    metrics.warn_if_not_shared(None)
    assert "metrics_not_shared" in capsys.readouterr().err


def test_a_worker_without_a_writable_folder_still_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: Mock(pid=os.getpid()))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "missing"))
    assert metrics.share_between_workers() is None
