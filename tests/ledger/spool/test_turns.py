"""In which groups and in which turn the records of a file are tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog.testing

from preference_center.core.clocks import HostTime
from preference_center.core.errors import (
    ConfigError,
    InvalidInput,
    Unavailable,
    UnavailableCause,
)
from preference_center.core.links import Links
from preference_center.ledger.spool.frames import HEADER_BYTES, encode_frame
from preference_center.ledger.spool.host_time import ReplayTime
from preference_center.ledger.spool.replay import (
    ReplayProgress,
    ReplayStats,
    RetryBudget,
    SpooledRequest,
    SpoolReplay,
    describe_error,
)
from tests.clock import START

LINKS = Links([("k1", bytes(32))], "https://preferences.example.com")
LATER = START + timedelta(hours=1)


def frame(kind: str = "one", **data: object) -> bytes:
    return encode_frame(LINKS.seal_request({"kind": kind, **data}), START)


@dataclass(slots=True)
class File:
    """A file that is replayed, with a handler that fails for the records numbered in `bad`."""

    content: bytes
    bad: dict[int, Exception] = field(default_factory=dict)
    away: Exception | None = None
    """What the probe raises, if the database is unavailable."""
    tried: list[list[Any]] = field(default_factory=list)
    probes: int = 0
    progress: ReplayProgress = field(default_factory=ReplayProgress)
    stats: ReplayStats = field(default_factory=ReplayStats)

    def replay(self, budget: RetryBudget | None = None) -> None:
        handlers = {"one": self._handle, "two": self._handle}
        replay = SpoolReplay(
            LINKS, handlers, lambda: ReplayTime(LATER, HostTime(LATER)), self._probe
        )
        if not self.progress.is_read:
            replay.begin("file", self.content, self.progress, self.stats)
        budget = budget or RetryBudget()
        replay.advance("file", self.content, self.progress, budget, self.stats)

    def _handle(self, requests: Sequence[SpooledRequest], now: datetime) -> None:
        assert now == LATER
        numbers = [request.data.get("n") for request in requests]
        self.tried.append(numbers)
        for number in numbers:
            if number in self.bad:
                raise self.bad[number]

    def _probe(self) -> None:
        self.probes += 1
        if self.away:
            raise self.away


def numbered(count: int) -> bytes:
    return b"".join(frame(n=n) for n in range(count))


def test_adjacent_records_of_one_kind_are_recorded_together() -> None:
    kinds = ["one", "one", "two", "two", "one"]
    file = File(b"".join(frame(kind, n=n) for n, kind in enumerate(kinds)))
    file.replay()
    assert file.tried == [[0, 1], [2, 3], [4]]
    assert (file.stats.recorded, file.probes) == (5, 0)
    assert file.progress == ReplayProgress(is_read=True)


def test_a_hundred_at_most_are_recorded_together() -> None:
    file = File(numbered(201))
    file.replay()
    assert [len(group) for group in file.tried] == [100, 100, 1]
    assert file.stats == ReplayStats(recorded=201)


def test_a_group_that_fails_is_split_until_the_record_at_fault_is_alone() -> None:  # I1
    file = File(numbered(121), {110: ZeroDivisionError()})
    file.replay()
    groups = [len(group) for group in file.tried]
    assert groups == [100, 21, *[3] * 7, *[1] * 3]
    assert file.stats == ReplayStats(recorded=120)
    assert (file.probes, file.progress.pending, file.progress.failures) == (3, 1, 0)
    file.tried.clear()
    file.replay()
    assert file.tried == [[110]]
    assert (file.progress.pending, file.progress.failures) == (1, 1)
    file.bad.clear()
    file.replay()
    assert file.progress.pending == 0
    assert file.progress.failures == 0


def test_of_two_the_one_that_is_not_at_fault_is_recorded() -> None:  # I1
    file = File(numbered(2), {0: ZeroDivisionError()})
    with structlog.testing.capture_logs() as logs:
        file.replay()
    assert file.tried == [[0, 1], [0], [1]]
    assert (file.stats.recorded, file.progress.pending) == (1, 1)
    assert [line["offset"] for line in logs if line["event"] == "spool_record_blocked"] == [0]


def test_what_failed_alone_is_tried_once_a_run_and_logged_once() -> None:
    file = File(numbered(1) + frame("two", n=1), {0: ZeroDivisionError(), 1: OSError(5, "secret")})
    with structlog.testing.capture_logs() as logs:
        file.replay()
        file.replay()
    assert file.tried == [[0], [1], [0], [1]]
    assert file.progress.failures == 4
    blocked = [line for line in logs if line["event"] == "spool_record_blocked"]
    assert [line["offset"] for line in blocked] == [0, len(numbered(1))]
    assert [line["error"] for line in blocked] == ["ZeroDivisionError", "OSError"]
    assert "secret" not in str(logs)  # I12


def test_when_the_budget_is_spent_the_rest_waits() -> None:  # I2
    file = File(b"".join(frame(("one", "two")[n % 2], n=n) for n in range(30)))
    file.bad = {n: ZeroDivisionError() for n in range(30)}
    budget = RetryBudget()
    file.replay(budget)
    assert budget.is_spent
    assert file.tried == [[n] for n in range(20)]
    assert file.progress.pending == 30
    file.replay()
    assert file.tried[20:30] == [[n] for n in range(20, 30)]  # the least recently tried first


@pytest.mark.parametrize(
    "failures, seconds, expected",
    [(19, 0.0, False), (20, 0.0, True), (1, 4.9, False), (1, 5.0, True), (2, 2.5, True)],
)
def test_a_run_has_twenty_failures_or_five_seconds_of_them(
    failures: int, seconds: float, *, expected: bool
) -> None:
    budget = RetryBudget()
    for _ in range(failures):
        budget.spend(seconds)
    assert budget.is_spent is expected


def test_only_the_time_of_failures_is_counted() -> None:
    file = File(numbered(1), {0: ZeroDivisionError()})
    budget = RetryBudget()
    file.replay(budget)
    assert budget.failures == 19
    assert 0 < budget.seconds < 5


def test_while_the_database_is_away_nothing_is_lost_nor_tried_on() -> None:  # I1
    file = File(frame(n=0) + frame("two", n=1), {0: ZeroDivisionError()}, RuntimeError())
    with pytest.raises(RuntimeError):
        file.replay()
    assert file.tried == [[0]]
    assert file.progress.pending == 2
    assert file.progress.failures == 0  # not the record's fault


@pytest.mark.parametrize(
    "error", [InvalidInput("no"), KeyError("x"), TypeError(), ValueError()], ids=repr
)
def test_what_no_retry_can_fix_is_rejected_alone(error: Exception) -> None:
    file = File(numbered(3), {2: error})
    with structlog.testing.capture_logs() as logs:
        file.replay()
    assert file.stats == ReplayStats(recorded=2, rejected=1)
    assert (file.progress.is_rejected, file.progress.pending) == (True, 0)
    assert file.progress.failures == 0
    [line] = [line for line in logs if line["event"] == "spool_rejected"]
    assert (line["offset"], line["error"]) == (len(numbered(2)), type(error).__name__)


@pytest.mark.parametrize(
    "error", [Unavailable("busy"), ConfigError("none"), OSError(), ZeroDivisionError()], ids=repr
)
def test_any_other_error_is_retried(error: Exception) -> None:  # I1
    file = File(numbered(1), {0: error})
    file.replay()
    assert file.stats == ReplayStats()
    assert (file.progress.is_rejected, file.progress.pending) == (False, 1)


def test_a_kind_of_a_newer_version_waits() -> None:
    file = File(frame("of tomorrow"))
    file.replay()
    assert (file.stats, file.progress.pending) == (ReplayStats(), 1)


def test_damage_and_what_can_not_be_opened_are_counted_and_the_others_recorded() -> None:
    foreign = encode_frame(b"sealed by another key", START)
    without_kind = encode_frame(LINKS.seal_request({}), START)
    content = frame(n=0) + b"torn" + foreign + without_kind + frame(n=1) + b"cut off"
    file = File(content)
    with structlog.testing.capture_logs() as logs:
        file.replay()
    assert file.stats == ReplayStats(recorded=2, rejected=2, damaged=2)
    assert (file.progress.is_damaged, file.progress.is_rejected) == (True, True)
    assert file.tried == [[0, 1]]
    damaged = [line for line in logs if line["event"] == "spool_damaged"]
    assert [(line["offset"], line["bytes"]) for line in damaged] == [
        (len(frame(n=0)), 4),
        (len(content) - 7, 7),
    ]


def test_a_record_that_is_damaged_after_it_was_found_does_not_count_as_recorded() -> None:  # I1
    file = File(numbered(3))
    file.replay(RetryBudget(failures=0))
    damaged = bytearray(file.content)
    damaged[HEADER_BYTES] ^= 1
    file.content = bytes(damaged)
    file.replay()
    assert file.stats == ReplayStats(recorded=2, rejected=1)
    assert file.progress.is_rejected  # so the file is not deleted


def test_times_of_a_request_are_by_the_clock_of_the_database() -> None:  # I5
    assert SpooledRequest({}).parse_time(START.isoformat()) == START
    ahead = SpooledRequest({}, timedelta(minutes=5))
    assert ahead.parse_time(START.isoformat()) == START + timedelta(minutes=5)


def test_a_new_file_is_unread_and_due_at_once() -> None:
    assert ReplayStats() == ReplayStats(0, 0, 0, 0)
    new = ReplayProgress()
    assert (new.is_read, new.is_rejected, new.is_damaged) == (False, False, False)
    assert (new.failures, new.pending, new.retry_at) == (0, 0, 0.0)


def test_a_file_that_can_not_be_read_is_tried_less_and_less_often() -> None:
    progress = ReplayProgress()
    delays = []
    for _ in range(6):
        progress.failures += 1
        progress.put_off(100.0)
        delays.append(progress.retry_at - 100.0)
    assert delays == [1, 2, 4, 8, 10, 10]


def test_a_log_line_states_the_codes_of_an_error_and_never_its_text() -> None:  # I12
    caused = Unavailable("of jane@example.com", UnavailableCause.LOCK_TIMEOUT)
    caused.__cause__ = OSError(5, "of jane@example.com")
    assert describe_error(caused) == {
        "error": "Unavailable", "cause": UnavailableCause.LOCK_TIMEOUT, "errno": 5
    }  # fmt: skip
    assert describe_error(OSError(28, "of jane@example.com")) == {"error": "OSError", "errno": 28}
    assert describe_error(ValueError("of jane@example.com")) == {"error": "ValueError"}
