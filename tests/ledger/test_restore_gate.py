"""When a process finds out again whether its database may be answered from."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

import pytest

from preference_center.core.errors import Unavailable
from preference_center.ledger import restore_gate
from preference_center.ledger.restore_gate import CHECK_INTERVAL, Finding, RestoreGate
from preference_center.ledger.watermarks import NO_EPOCH
from tests.clock import START

SILENT = "no answer"


@dataclass
class Checks:
    """Counts checks; each finds `finding`, or raises Unavailable for None."""

    finding: Finding | None
    count: int = 0
    wait: Callable[[], object] = lambda: None

    def __call__(self) -> Finding:
        self.count += 1
        found = self.finding
        self.wait()
        if found is None:
            raise Unavailable("the database does not answer")
        return found


def gate(checks: Checks) -> RestoreGate:
    return RestoreGate(checks, SILENT, "shut")


def test_what_was_found_holds_for_a_while_in_its_epoch() -> None:
    checks = Checks(Finding(None, "a"))
    opened = gate(checks)
    for epoch in (None, "a", "a", None):
        assert opened.find_problem(START, epoch) is None
    assert checks.count == 1
    opened.find_problem(START + CHECK_INTERVAL)
    assert checks.count == 2


def test_an_answer_of_another_epoch_waits_for_a_check() -> None:  # I6
    checks = Checks(Finding(None, "a"))
    opened = gate(checks)
    opened.find_problem(START)
    checks.finding = Finding("restored", "b")
    assert opened.find_problem(START, "b") == "restored"
    assert opened.find_problem(START) == "restored"
    assert checks.count == 2


@pytest.mark.parametrize("found", [None, "b"])
def test_each_answer_without_a_known_epoch_is_checked(found: str | None) -> None:
    checks = Checks(Finding(None, found))
    opened = gate(checks)
    for _ in range(3):
        assert opened.find_problem(START, NO_EPOCH) is None
    assert checks.count == 3


def test_a_check_that_failed_opens_nothing() -> None:  # I11
    checks = Checks(Finding(None, "a"))
    opened = gate(checks)
    opened.find_problem(START)
    checks.finding = None
    for _ in range(2):
        with pytest.raises(Unavailable):
            opened.find_problem(START, "b")
    checks.finding = Finding("restored", "b")
    assert opened.find_problem(START, "b") == "restored"


def test_a_check_that_hangs_is_waited_for_by_answers_of_another_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(restore_gate, "_PATIENCE", 0.05)
    begun, released = Event(), Event()
    checks = Checks(Finding(None, "a"))
    opened = gate(checks)
    opened.find_problem(START)
    checks.finding = Finding(None, "b")

    def wait() -> None:
        begun.set()
        released.wait(30)

    checks.wait = wait
    later = START + CHECK_INTERVAL
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(opened.find_problem, later)
        assert begun.wait(30)
        assert opened.find_problem(later, "a") is None  # by what was found before
        assert opened.find_problem(later, "b") == SILENT
        released.set()
        assert hanging.result(30) is None
    assert opened.find_problem(later, "b") is None
    assert checks.count == 2
