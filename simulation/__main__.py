"""`python -m simulation`: run seeds, and cut what fails down to what matters.

Exits with 1 if any seed fails. Ctrl-C ends it with a report on the seeds that were run.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Generator, Iterable
from contextlib import ExitStack, closing, suppress
from multiprocessing import get_context

from dev.engines import for_test
from simulation.acts import Options
from simulation.excuses import ENOUGH, Excuse, beyond, total
from simulation.seeds import Process, Result, run

PROGRESS_EVERY = 15
"""Seconds between two lines of progress."""


def options_of(given: argparse.Namespace) -> Options:
    """The size of the runs that were asked for."""
    return Options(given.hours, given.people, given.tools, given.acts, given.burst)


def spread(given: argparse.Namespace) -> Generator[Result]:
    """The results of the seeds, as they end, from as many processes as asked for.

    Each has engines of its own: a transaction elsewhere on a server changes where rows lie,
    and so the order of those that are due at the same time.
    """
    options = options_of(given)
    seeds, context = range(given.seed, given.seed + given.runs), get_context("spawn")
    with ExitStack() as stack:
        folders = context.SimpleQueue()
        for _ in range(given.processes):
            folders.put(stack.enter_context(for_test(environ={})).folder)
        makings = (folders, options, given.shrink)
        if given.processes == 1:
            Process.begin(*makings)
            yield from map(run, seeds)
            return
        with context.Pool(given.processes, Process.begin, makings) as pool:
            yield from pool.imap_unordered(run, seeds)


def _until_interrupted(results: Iterable[Result]) -> Generator[Result]:
    """These, up to Ctrl-C: what was found in hours is reported, too."""
    with suppress(KeyboardInterrupt):
        yield from results


def gathered(results: Iterable[Result], given: argparse.Namespace) -> list[Result]:
    """All of them in the order of their seeds; prints progress to standard error."""
    begun, printed_at, found, failed = time.monotonic(), 0.0, list[Result](), 0
    for one in _until_interrupted(results):
        found.append(one)
        took = time.monotonic() - begun
        if one.failure:
            failed += 1
            print(f"seed {one.seed}: {one.failure}"[:300], file=sys.stderr, flush=True)
        if took - printed_at >= PROGRESS_EVERY:
            printed_at, left = took, took / len(found) * (given.runs - len(found))
            print(
                f"{len(found):,} of {given.runs:,} seeds, {failed} failed, {took:.0f} s;"
                f" about {left / 60:.0f} min to go",
                file=sys.stderr,
                flush=True,
            )
        if one.failure and given.until_red:
            break
    return sorted(found, key=lambda one: one.seed)


def describe(one: Result) -> str:
    """A failure, with all that is needed to see it again."""
    lines = [f"\nseed {one.seed}: {one.failure}", "The shortest history that was found:"]
    lines += [f"  {line}" for line in one.history]
    lines += ["Its last steps:", *(f"  {line[:300]}" for line in one.trace[-40:])]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Run, report, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first")
    parser.add_argument("--runs", type=int, default=10, help="how many seeds")
    parser.add_argument("--hours", type=int, default=72)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--tools", type=int, default=5)
    parser.add_argument("--acts", type=int, default=100, help="how much people do")
    parser.add_argument("--burst", type=int, default=0, help="so many opt out in one minute")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--shrink", type=float, default=60, help="seconds, 0 for never")
    parser.add_argument("--until-red", action="store_true", help="end with the first failure")
    parser.add_argument("--trace", action="store_true", help="print what happened")
    given = parser.parse_args(arguments)
    begun = time.monotonic()
    with closing(spread(given)) as running:
        results = gathered(running, given)
    failed = [one for one in results if one.failure]
    for one in results:
        if given.trace:
            print("\n".join(one.trace))
            print(f"seed {one.seed}: trace {one.digest}")
    for one in failed:
        print(describe(one))
    took, cpu = time.monotonic() - begun, sum(one.cpu for one in results)
    print(
        f"\n{len(results)} seeds of {given.hours} h, {given.people} people, {given.tools} tools:"
        f" {len(failed)} failed; {sum(one.steps for one in results):,} steps in {took:.0f} s"
        f" ({cpu / max(1, len(results)):.1f} s of Python's CPU each)"
    )
    return 1 if failed or _excuses(results, given) else 0


def _excuses(results: list[Result], given: argparse.Namespace) -> bool:
    """Print how often each excuse was made; return whether that was too often."""
    counts, runs = total(one.excused for one in results), max(1, len(results))
    for excuse in Excuse:
        print(f"{counts[excuse] / runs:7.1f} excused a seed: {excuse}")
    if runs < ENOUGH:
        print(f"The bounds are compared with the means of {ENOUGH} seeds or more.")
    too_often = beyond(counts, runs, options_of(given))
    for line in too_often:
        print(f"TOO OFTEN EXCUSED {line}")
    return bool(too_often)


if __name__ == "__main__":
    # The order of sets of texts must be the same every time, as everything else.
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "simulation", *sys.argv[1:]])  # noqa: S606 - ourselves
    sys.exit(main(sys.argv[1:]))
