"""How the measurements are asked for, and how their results are printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.load import CONNECTIONS, Rate, Request, load

HELLO = [Request("/", method="GET")]
BULK = 10_000
FULL = 1_000_000
"""Rows of a large measurement, and of one with `--full`."""


class NotHere(Exception):
    """A program is missing that a measurement needs; the message says which and how to get it."""


@dataclass(frozen=True, slots=True)
class Options:
    """How long, how often and with how many rows to measure."""

    seconds: float
    rounds: int
    full: bool = False
    most: int | None = None
    """Rows at most, in a smoke run: it shows that a measurement works, and measures nothing."""

    @property
    def is_smoke(self) -> bool:
        """Whether results do not matter."""
        return self.most is not None

    def rows(self, usual: int, full: int | None = None) -> int:
        """So many as usual, as many as `full` with `--full`, and few in a smoke run."""
        if self.most is not None:
            return min(usual, self.most)
        return full if self.full and full else usual


@dataclass(frozen=True, slots=True)
class Round:
    """One round: requests a second of the peer, the database and the service."""

    bare: float
    sql: float
    ours: Rate

    @property
    def limit(self) -> float:
        """What a request can cost at least: a bare request and its SQL."""
        return 1 / (1 / self.bare + 1 / self.sql)


def measure_round(
    bare: str, database: Callable[[], float], ours: Callable[[], Rate], options: Options
) -> Round:
    """Measure the peer, the database and the service, one after the other."""
    found = Round(load(bare, HELLO, options.seconds, CONNECTIONS).per_second, database(), ours())
    say(
        f"  bare {found.bare:,.0f}/s, sql {found.sql:,.0f}/s, limit {found.limit:,.0f}/s;"
        f" ours {found.ours.per_second:,.0f}/s, {found.ours.per_second / found.limit:.0%}"
    )
    return found


def report_rounds(what: str, rounds: Sequence[Round], wanted: float) -> None:
    """The median of the rounds, and its share of the limit."""
    share = median(one.ours.per_second / one.limit for one in rounds)
    say(
        f"{what}: {median(one.ours.per_second for one in rounds):,.0f}/s,"
        f" {share:.0%} of its limit of {median(one.limit for one in rounds):,.0f}/s"
        f" (wanted: {wanted:.0%}), p50 {median(one.ours.p50 for one in rounds):.1f} ms,"
        f" p99 {median(one.ours.p99 for one in rounds):.1f} ms"
    )


def report_half_load(halves: Sequence[tuple[Rate | None, Rate | None]]) -> None:
    """How slow requests are at half the load, next to those of the bare route."""
    pairs = [(bare, ours) for bare, ours in halves if bare and ours]
    if pairs:
        say(
            f"  at half load: p99 {median(ours.p99 for _, ours in pairs):.1f} ms at"
            f" {median(ours.per_second for _, ours in pairs):,.0f}/s,"
            f" {median(ours.p99 / bare.p99 for bare, ours in pairs):.1f} times the bare route's"
            f" {median(bare.p99 for bare, _ in pairs):.1f} ms at"
            f" {median(bare.per_second for bare, _ in pairs):,.0f}/s (wanted: at most 2.5)"
        )


def say(text: str) -> None:
    """Print it at once."""
    print(text, flush=True)
