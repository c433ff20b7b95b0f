"""A replay records what is in one file, and holds up nothing for what can't be recorded.

After a crash between recording and deleting a file, the file is replayed again. That records
nothing twice: each event has had its id since it was accepted.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from preference_center.core.clocks import correct_time
from preference_center.core.errors import ConfigError, PreferenceCenterError, Unavailable
from preference_center.core.links import Links
from preference_center.ledger.spool.frames import DamagedBytes, Frame, decode_frames, frame_at
from preference_center.ledger.spool.host_time import ReplayTime, host_time_from_json

log = structlog.get_logger()


BATCH_SIZE = 100


SPLIT_SIZE = 10
"""Into so many parts a batch is split that can't be recorded, to find what is at fault."""


@dataclass(frozen=True, slots=True)
class SpooledRequest:
    """A request of one record, as `spool_request` was given it."""

    data: Mapping[str, Any]
    shift: timedelta = timedelta(0)
    """What the database's clock is ahead of the clock that dated it."""

    def parse_time(self, text: str) -> datetime:
        """A time of the data, by the database's clock. Raises TypeError or ValueError."""
        return datetime.fromisoformat(text) + self.shift


SpoolHandler = Callable[[Sequence[SpooledRequest], datetime], object]
"""Records requests of one kind, all or none, at a time that it is given; safe to repeat. Raises
Unavailable to be retried."""


_PERMANENT_ERRORS = (PreferenceCenterError, KeyError, TypeError, ValueError)
"""Errors that a retry can't fix. After any other, the record is retried until it succeeds: what the
database refuses it may accept after an upgrade."""


FIRST_RETRY, LAST_RETRY = 1.0, 10.0
"""Seconds until a file is tried again, after all that is left of it failed once, and often."""


@dataclass(slots=True)
class ReplayStats:
    """The outcome for the records of some files."""

    recorded: int = 0
    rejected: int = 0
    damaged: int = 0
    blocked: int = 0
    """Records that could not be recorded now, although the database is available."""


@dataclass(slots=True)
class RetryBudget:
    """What failing transactions may cost in one run; those that succeed cost nothing."""

    failures: int = 20
    seconds: float = 5.0

    @property
    def is_spent(self) -> bool:
        """Whether the rest must wait for the next run."""
        return self.failures <= 0 or self.seconds <= 0

    def spend(self, seconds: float) -> None:
        """Count a failure that took so long."""
        self.failures -= 1
        self.seconds -= seconds


@dataclass(slots=True)
class ReplayProgress:
    """What is left of one file. Not persistent."""

    groups: deque[tuple[int, ...]] = field(default_factory=deque)
    """Offsets of records that are recorded together, the least recently tried first."""
    is_read: bool = False
    is_rejected: bool = False
    """Whether a record can't be recorded, ever."""
    is_damaged: bool = False
    logged: set[int] = field(default_factory=set)
    """Offsets of blocked records, each logged once."""
    failures: int = 0
    """Since something succeeded."""
    retry_at: float = 0.0
    """By the replayer's monotonic clock."""

    @property
    def pending(self) -> int:
        """How many records are left."""
        return sum(map(len, self.groups))

    def put_off(self, now: float) -> None:
        """Set `retry_at`: at once while something is untried, else later with each round."""
        rounds = self.failures // max(len(self.groups), 1)
        delay = min(FIRST_RETRY * 2.0 ** min(rounds - 1, 10), LAST_RETRY) if rounds else 0.0
        self.retry_at = now + delay


@dataclass(frozen=True, slots=True)
class SpoolReplay:
    """Records what is in files. Not thread-safe."""

    links: Links
    handlers: Mapping[str, SpoolHandler]
    read_time: Callable[[], ReplayTime]
    probe: Callable[[], None]
    """Raises if the database is unavailable. Nothing else says so: an error of a record may look
    the same."""

    def begin(
        self, name: str, content: bytes, progress: ReplayProgress, stats: ReplayStats
    ) -> None:
        """Find the records in `content`, all of the file with this name."""
        found: list[tuple[int, str]] = []
        for offset, part in decode_frames(content):
            if isinstance(part, DamagedBytes):
                progress.is_damaged = True
                log.error("spool_damaged", file=name, offset=offset, bytes=len(part.content))
                stats.damaged += 1
                continue
            try:
                found.append((offset, str(self.links.open_request(part.payload)["kind"])))
            except (PreferenceCenterError, KeyError, TypeError) as error:
                _reject(name, offset, error, progress, stats)
        progress.groups.extend(_group(found))
        progress.is_read = True

    def advance(
        self,
        name: str,
        content: bytes,
        progress: ReplayProgress,
        budget: RetryBudget,
        stats: ReplayStats,
    ) -> None:
        """Record what is left in a file, each group once, until `budget` is spent.

        A group that fails is split; a record that fails blocks nothing but itself. Raises what
        `probe` raises when the database is unavailable; call it again then.
        """
        failed: deque[tuple[int, ...]] = deque()
        try:
            while progress.groups and not budget.is_spent:
                group = progress.groups.popleft()
                begun = time.monotonic()
                error = self._try(content, group)
                if error is None:
                    progress.failures = 0
                    stats.recorded += len(group)
                    continue
                budget.spend(time.monotonic() - begun)
                if len(group) == 1 and _is_permanent(error):
                    _reject(name, group[0], error, progress, stats)
                    continue
                if len(group) > 1:
                    progress.groups.extend(_split(group))
                else:
                    failed.append(group)
                self.probe()
                progress.failures += 1
                if len(group) == 1:
                    _log_blocked(name, group[0], error, progress)
        finally:
            progress.groups.extend(failed)

    def _open(self, frame: Frame, time: ReplayTime) -> SpooledRequest:
        data = self.links.open_request(frame.payload)
        then = host_time_from_json(frame.received_at, data.get("boot"))
        received_at = correct_time(frame.received_at, then, time.host, time.database)
        return SpooledRequest(data, received_at - frame.received_at)

    def _try(self, content: bytes, group: Sequence[int]) -> Exception | None:
        """The error that prevented recording, if any."""
        try:
            at = self.read_time()
            requests = [self._open(_frame_found(content, offset), at) for offset in group]
            handler = self.handlers.get(requests[0].data["kind"])
            if handler is None:
                return NotImplementedError("spooled by a newer version")
            handler(requests, at.database)
        except Exception as error:  # noqa: BLE001 - one record must not block the others
            return error
        return None


def _frame_found(content: bytes, offset: int) -> Frame:
    """The frame that was found there before. Raises ValueError if it has been damaged since."""
    frame = frame_at(content, offset)
    if frame is None:
        raise ValueError("a record of the spool was damaged after it was found")
    return frame


def _is_permanent(error: Exception) -> bool:
    return isinstance(error, _PERMANENT_ERRORS) and not isinstance(error, ConfigError | Unavailable)


def _reject(
    name: str, offset: int, error: Exception, progress: ReplayProgress, stats: ReplayStats
) -> None:
    progress.is_rejected = True
    progress.failures = 0
    log.error("spool_rejected", file=name, offset=offset, error=type(error).__name__)
    stats.rejected += 1


def _log_blocked(name: str, offset: int, error: Exception, progress: ReplayProgress) -> None:
    if offset not in progress.logged:
        progress.logged.add(offset)
        log.warning("spool_record_blocked", file=name, offset=offset, **describe_error(error))


def describe_error(error: Exception) -> dict[str, object]:
    """What a log line states of an error: codes, since a text may quote a row (I12)."""
    described: dict[str, object] = {"error": type(error).__name__}
    if isinstance(error, Unavailable):
        described["cause"] = error.cause
    for name in ("sqlstate", "errno"):
        value = getattr(error, name, None) or getattr(error.__cause__, name, None)
        if value is not None:
            described[name] = value
    return described


def _group(found: Sequence[tuple[int, str]]) -> Iterator[tuple[int, ...]]:
    """The offsets of adjacent records of one kind, at most BATCH_SIZE together."""
    group: list[int] = []
    kind = ""
    for offset, of_kind in found:
        if group and (of_kind != kind or len(group) == BATCH_SIZE):
            yield tuple(group)
            group = []
        kind = of_kind
        group.append(offset)
    if group:
        yield tuple(group)


def _split(group: Sequence[int]) -> Iterator[tuple[int, ...]]:
    size = -(-len(group) // SPLIT_SIZE)
    for first in range(0, len(group), size):
        yield tuple(group[first : first + size])
