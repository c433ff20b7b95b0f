"""How a run ends, and what it leaves."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos import __main__ as chaos

Ending = Callable[[], list[str]]


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Ending], int]:
    """`ends(how)`: a run of nothing that ends so; the exit code."""

    def do(how: Ending) -> int:
        monkeypatch.setattr(chaos, "CHECKOUT", tmp_path)
        monkeypatch.setattr(chaos, "_stage", lambda *_, **__: ())
        monkeypatch.setattr(chaos, "run", lambda *_: how())
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        return chaos.main(["--seed", "7"])

    return do


def fail() -> list[str]:
    raise RuntimeError("postgres did not start")


def interrupt() -> list[str]:
    raise KeyboardInterrupt


def test_audit_that_balance_leave_nothing(
    ends: Callable[[Ending], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(list) == 0
    assert "the audit passes" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_an_audit_that_fails_is_printed_and_kept(
    ends: Callable[[Ending], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = "1 not in the database, though answered with a 2xx: person-1-2@example.com"
    assert ends(lambda: [missing]) == 1
    assert capsys.readouterr().out == f"{missing}\nseed 7: 1 faults\n"
    assert (tmp_path / ".data" / "chaos-7" / "faults.txt").read_text() == f"{missing}\n"


def test_of_many_faults_the_first_are_printed_and_all_are_kept(
    ends: Callable[[Ending], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(lambda: [f"fault {number}" for number in range(chaos.SHOWN + 3)]) == 1
    assert capsys.readouterr().out.endswith(
        "fault 19\nand 3 more, in faults.txt\nseed 7: 23 faults\n"
    )
    kept = (tmp_path / ".data" / "chaos-7" / "faults.txt").read_text()
    assert len(kept.splitlines()) == chaos.SHOWN + 3


def test_a_run_that_breaks_leaves_its_logs(ends: Callable[[Ending], int], tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        ends(fail)
    kept = tmp_path / ".data" / "chaos-7" / "faults.txt"
    assert kept.read_text().endswith("RuntimeError: postgres did not start\n")


def test_an_interrupted_run_proves_nothing(
    ends: Callable[[Ending], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(interrupt) == 130
    assert "balance" not in capsys.readouterr().out
