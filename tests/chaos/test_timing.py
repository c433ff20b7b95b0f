"""Who counts as late, and what excuses it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from chaos.heartbeat import LATE, Heart, Stall
from chaos.plan import Deed
from chaos.timing import Asked, Sample, Times, Window, faults, measure, table

SILENT = Window("database", "silence", 10, 20)
WEB = Window("web", "kill", 30, 40)
LOCKED_TABLE = Window("database", Deed.LOCK_TABLE, 50, 60)
FULL_SPOOL = Window("database", Deed.FILL_SPOOL, 70, 80)


def of(
    begin: float,
    end: float,
    status: int = 200,
    asked: Asked = Asked.STOP,
    stalls: Sequence[Stall] = (),
) -> Times:
    return measure(
        [Sample(begin, end, status, asked)], [SILENT, WEB, LOCKED_TABLE, FULL_SPOOL], stalls
    )


@pytest.mark.parametrize(
    "times, expected",
    [
        (of(12, 15), "took more than 2 s (an opt-out, answered 200; 3.0 s at most): 1 during"),
        (of(1, 4), "1 during nothing of it"),
        (of(12, 15, asked=Asked.UNDO), "(an undo, answered 200"),
        (
            of(12, 13, 503),
            "not answered as they must, though the web process was not struck (an opt-out",
        ),
        (of(12, 13, 0), "answered not at all"),
        (of(12, 15, asked=Asked.PROBE), "took more than 2 s (a probe of /livez"),
        (of(12, 13, 503, Asked.PROBE), "(a probe of /livez, answered 503"),
        (of(12, 22, 0, Asked.CHECK), "(a decision, answered not at all"),
        (of(12, 22, 0, Asked.LOCKED), "somebody whose rows may be locked, answered not at all"),
        (of(12, 15, stalls=[Stall(14.5, 17)]), "took more than 2 s"),
        (of(50, 54.1), "1 during database: lock a table"),
    ],
    ids=[
        "struck",
        "not-struck",
        "undo",
        "busy",
        "lost",
        "probe-late",
        "probe-refused",
        "decision-lost",
        "lost-at-a-lock",
        "stalled-a-little",
        "at-a-locked-table",
    ],
)
def test_what_is_a_fault(times: Times, expected: str) -> None:
    assert expected in " ".join(faults(times))


@pytest.mark.parametrize(
    "times",
    [
        of(12, 13.9),
        of(50, 53.9),
        of(29, 35, 0),
        of(39, 45),
        of(12, 15, 503, Asked.LOCKED),
        of(12, 13, 503, Asked.UNDO),
        of(12, 15, 503, Asked.CHECK),
        of(12, 15, stalls=[Stall(11, 13.1)]),
        of(72, 73, 503),
    ],
    ids=[
        "in-time",
        "while-a-table-is-locked",
        "web-was-struck",
        "web-was-back",
        "at-a-lock",
        "undo",
        "decision",
        "machine-stalled",
        "while-the-spool-is-full",
    ],
)
def test_what_is_none(times: Times) -> None:
    assert list(faults(times)) == []


def test_the_table_has_what_was_struck_and_what_was_not_timed() -> None:
    times = measure(
        [Sample(11, 11.5, 200, Asked.STOP), Sample(31, 32, 0, Asked.STOP)], [SILENT, WEB], []
    )
    _, row, rest = table(times, [SILENT, WEB])
    assert row.split() == [
        "database:",
        "silence,",
        "1",
        "x",
        "10",
        "s",
        "1",
        "0",
        "500",
        "500",
        "500",
    ]
    assert rest.startswith(
        "not timed: 1 while the web process was struck or starting (1 x 10 s), 0 because"
    )


def test_a_late_beat_is_a_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.05, 0.1 + 2 * LATE, 0.15 + 2 * LATE])
    monkeypatch.setattr("chaos.heartbeat.time.monotonic", lambda: next(clock))
    heart = Heart()
    assert [heart.beat() for _ in range(3)] == [None, Stall(0.1, 0.1 + 2 * LATE), None]
