"""`python -m bench`: measures the hot paths, each against a limit of the same run.

A round measures the peer, the database and the service one after the other, so that
whatever else the machine does meets all three; the median of the rounds counts.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys

from bench import ground, smoke
from bench.load import NO_WRK
from bench.measurements import MEASUREMENTS
from bench.reporting import NotHere, Options, say


def main() -> None:
    """Measure what was asked for, or try it."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = ", ".join(MEASUREMENTS)
    parser.add_argument("--only", action="append", help=f"may be repeated; one of {names}")
    parser.add_argument("--seconds", type=float, default=5, help="per measurement (default: 5)")
    parser.add_argument("--rounds", type=int, default=3, help="the median counts (default: 3)")
    parser.add_argument(
        "--full",
        action="store_true",
        help="a million opt-outs in pacing, not 100,000; for the console 20 million",
    )
    parser.add_argument(
        "--smoke",
        action="store_true",
        help="see that everything works, the programs of this folder too, and measure nothing",
    )
    given = parser.parse_args()
    known = MEASUREMENTS.keys() | (smoke.PROGRAMS.keys() if given.smoke else ())
    if unknown := set(given.only or ()) - known:
        parser.error(f"{', '.join(sorted(unknown))}: choose from {', '.join(sorted(known))}")
    if given.smoke:
        sys.exit(not smoke.run(given.only or ()))
    _measure(given.only or list(MEASUREMENTS), Options(given.seconds, given.rounds, given.full))


def _measure(names: list[str], options: Options) -> None:
    if not shutil.which("wrk"):
        print(NO_WRK, file=sys.stderr)
    busy = f", load {os.getloadavg()[0]:.1f} before we began" if hasattr(os, "getloadavg") else ""
    say(f"{os.cpu_count()} cores, Python {platform.python_version()}{busy}")
    with ground.engines() as engines:
        for name in names:
            say(f"-- {name}")
            try:
                MEASUREMENTS[name](engines, options)
            except NotHere as error:
                say(f"skipped: {error}")


if __name__ == "__main__":
    main()
