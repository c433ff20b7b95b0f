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
from collections.abc import Callable

from bench import ground, measured_requests, measured_work
from bench.load import NO_WRK
from bench.reporting import Options, say
from dev.engines import Engines

MEASUREMENTS: dict[str, Callable[[Engines, Options], None]] = {
    "opt-out": measured_requests.measure_opt_outs,
    "decisions": measured_requests.measure_decisions,
    "streaming": measured_requests.measure_streaming,
    "draining": measured_work.measure_draining,
    "backfilling": measured_work.measure_backfilling,
    "pacing": measured_work.measure_pacing,
    "vendors": measured_work.measure_vendors,
    "workers": measured_work.measure_workers,
    "calling": measured_requests.measure_calling,
    "local-filter": measured_requests.measure_local_filter,
    "minting": measured_requests.measure_minting,
    "inbound": measured_requests.measure_inbound,
    "probing": measured_requests.measure_probing,
    "starving": measured_work.measure_starving,
    "forms": measured_work.measure_forms,
    "access": measured_work.measure_access,
    "erasing": measured_work.measure_erasing,
    "announcing": measured_work.measure_announcing,
    "counting": measured_work.measure_counting,
    "consent-tag": measured_requests.measure_consent_tag,
    "console": measured_requests.measure_console,
}


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, help="may be repeated")
    parser.add_argument("--seconds", type=float, default=5, help="per measurement (default: 5)")
    parser.add_argument("--rounds", type=int, default=3, help="the median counts (default: 3)")
    parser.add_argument(
        "--full",
        action="store_true",
        help="a million opt-outs in pacing, not 100,000; for the console 20 million",
    )
    given = parser.parse_args()
    if not shutil.which("wrk"):
        print(NO_WRK, file=sys.stderr)
    busy = f", load {os.getloadavg()[0]:.1f} before we began" if hasattr(os, "getloadavg") else ""
    say(f"{os.cpu_count()} cores, Python {platform.python_version()}{busy}")
    with ground.engines() as engines:
        for name in given.only or MEASUREMENTS:
            say(f"-- {name}")
            MEASUREMENTS[name](engines, Options(given.seconds, given.rounds, given.full))


if __name__ == "__main__":
    main()
