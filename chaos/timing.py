"""How long people waited, and what was struck meanwhile. All times are monotonic seconds."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from typing import NamedTuple

from chaos.heartbeat import Stall

LIMIT = 2.0
"""Seconds within which a click that meets no lock is answered."""
LIMITS = {"database: lock a table": 4.0, "database: rewrite a table": 4.0}
"""The same while something is struck: when a table is locked, clicks in hand wait for it until
they time out, and for their threads those that come meanwhile; all later ones are spooled."""
REFUSED = "database: fill the spool"
"""While this is struck, an opt-out may be refused: it can be stored nowhere."""
LOST = 0
"""In place of a status: no answer came."""
UNAVAILABLE = 503
SPOOLED = 202
"""Acknowledged and not recorded yet: the database was away."""
QUIET = "nothing of it"
SHOWN = 3
"""How many strikes a line names."""
TIMED = ("database", "valkey", "web")
"""Victims whose strikes a click may meet."""


class Asked(StrEnum):
    """What a request was for."""

    STOP = "an opt-out"
    UNDO = "an undo"
    LOCKED = "an opt-out of somebody whose rows may be locked"
    PROBE = "a probe of /livez"
    CHECK = "a decision"


class Sample(NamedTuple):
    """One request and its answer."""

    begin: float
    end: float
    status: int
    asked: Asked

    @property
    def took(self) -> float:
        """Seconds."""
        return self.end - self.begin


@dataclass(slots=True)
class Window:
    """From a strike until its victim was back."""

    victim: str
    deed: str
    begin: float
    end: float = inf


class Intervals:
    """Intervals, of which may overlap some."""

    def __init__(self, windows: Iterable[tuple[float, float]]) -> None:
        self._begins: list[float] = []
        self._ends: list[float] = []
        for begin, end in sorted(windows):
            if self._ends and begin <= self._ends[-1]:
                self._ends[-1] = max(end, self._ends[-1])
            else:
                self._begins.append(begin)
                self._ends.append(end)

    def meet(self, sample: Sample) -> bool:
        """Whether the request was under way in any of them."""
        last = bisect_right(self._begins, sample.end) - 1
        return last >= 0 and self._ends[last] >= sample.begin

    def share(self, sample: Sample) -> float:
        """How many seconds of the request lie in them."""
        pairs = zip(self._begins, self._ends, strict=True)
        return sum(max(0.0, min(e, sample.end) - max(b, sample.begin)) for b, e in pairs)


@dataclass(slots=True)
class Times:
    """What the run showed."""

    by_kind: Mapping[str, list[Sample]]
    """The timed requests, by what was struck meanwhile; the slowest last."""
    during_web: int = 0
    """Requests that are not timed: the web process itself was struck."""
    stalled: int = 0
    """Those that were late because the machine let nobody run."""
    late: list[tuple[Sample, str]] = field(default_factory=list)
    """Those that met no lock, and were late all the same, with what was struck meanwhile."""
    refused: list[tuple[Sample, str]] = field(default_factory=list)
    """Opt-outs that were not acknowledged, though the web process was not struck."""


def measure(samples: Iterable[Sample], windows: Sequence[Window], stalls: Sequence[Stall]) -> Times:
    """Assign every request to what was struck at the time."""
    spans = defaultdict(list)
    for window in windows:
        if window.victim in TIMED:
            spans[f"{window.victim}: {window.deed}"].append((window.begin, window.end))
    web = Intervals((w.begin, w.end) for w in windows if w.victim == "web")
    kinds = {k: Intervals(v) for k, v in spans.items() if not k.startswith("web")}
    stalled = Intervals((stall.begin, stall.end) for stall in stalls)
    by_kind: dict[str, list[Sample]] = defaultdict(list)
    times = Times(by_kind)
    for sample in samples:
        if web.meet(sample):
            times.during_web += 1
            continue
        met = [kind for kind, intervals in kinds.items() if intervals.meet(sample)] or [QUIET]
        _count(times, by_kind, sample, met, stalled)
    for those in by_kind.values():
        those.sort(key=lambda sample: sample.took)
    return times


def _count(
    times: Times,
    by_kind: dict[str, list[Sample]],
    sample: Sample,
    met: list[str],
    stalled: Intervals,
) -> None:
    during = " and ".join(met)
    of_its_own = sample.asked in {Asked.LOCKED, Asked.PROBE, Asked.CHECK}
    for kind in [sample.asked] if of_its_own else met:
        by_kind[kind].append(sample)
    unavailable = sample.status == UNAVAILABLE and sample.asked in {Asked.STOP, Asked.PROBE}
    if (unavailable and REFUSED not in met) or sample.status == LOST:
        times.refused.append((sample, during))
    limit = max(LIMITS.get(kind, LIMIT) for kind in met)
    if sample.took <= limit or sample.asked in {Asked.LOCKED, Asked.CHECK}:
        return
    if sample.took - stalled.share(sample) <= limit:
        times.stalled += 1
    else:
        times.late.append((sample, during))


def table(times: Times, windows: Sequence[Window]) -> Iterator[str]:
    """A line for each kind of strike: how often, for how long, and the requests meanwhile."""
    yield f"{'while':50} {'requests':>8} {'spooled':>7} {'p50 ms':>7} {'p99 ms':>7} {'max ms':>7}"
    for kind in sorted(times.by_kind):
        those = times.by_kind[kind]
        spans = [w.end - w.begin for w in windows if f"{w.victim}: {w.deed}" == kind]
        name = f"{kind}, {len(spans)} x {sum(spans) / len(spans):.0f} s" if spans else kind
        waits = [1000 * those[int(share * (len(those) - 1))].took for share in (0.5, 0.99, 1.0)]
        spooled = sum(sample.status == SPOOLED for sample in those)
        yield f"{name:50} {len(those):8} {spooled:7}" + "".join(f" {wait:7.0f}" for wait in waits)
    web = [window.end - window.begin for window in windows if window.victim == "web"]
    yield (
        f"not timed: {times.during_web} while the web process was struck or starting "
        f"({len(web)} x {sum(web) / max(1, len(web)):.0f} s), "
        f"{times.stalled} because the machine stalled"
    )


def listed(times: Times, begin: float) -> Iterator[str]:
    """Every request that is a fault, with its time from the beginning of the run."""
    for sample, during in sorted([*times.late, *times.refused]):
        when = f"{sample.begin - begin:7.2f} s  {sample.took:5.2f} s"
        yield f"{when}  {sample.asked}, answered {sample.status}, during {during}"


def faults(times: Times) -> Iterator[str]:
    """What no client may meet, a line for each kind of request and answer."""
    for what, found in (
        (f"took more than {LIMIT:.0f} s", times.late),
        ("were not answered as they must, though the web process was not struck", times.refused),
    ):
        by: dict[str, list[tuple[Sample, str]]] = defaultdict(list)
        for sample, during in found:
            answered = sample.status or "not at all"
            by[f"{sample.asked}, answered {answered}"].append((sample, during))
        for which, those in by.items():
            most = max(sample.took for sample, _ in those)
            when = Counter(during for _, during in those).most_common(SHOWN)
            meanwhile = ", ".join(f"{count} during {during}" for during, count in when)
            yield f"{len(those)} requests {what} ({which}; {most:.1f} s at most): {meanwhile}"
