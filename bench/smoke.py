"""`python -m bench --smoke`: one tiny round of everything that measures, to see that it works.

Nothing is measured, and no figure is printed. What other programs of this folder measure is
tried, too.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from io import StringIO
from itertools import chain
from multiprocessing import get_context

from bench import cost, ground, growth, imports, long_list, metrics, scrub, traces
from bench.load import NO_WRK
from bench.measurements import MEASUREMENTS, Measure
from bench.reporting import NotHere, Options
from dev.engines import Engines

TINY = Options(seconds=0.2, rounds=1, most=200)
LANES = 2
"""At once: most of the time processes start, each on one core."""


def _imports(engines: Engines, options: Options) -> None:
    rows = options.rows(imports.LISTED)
    imports.planning(engines, rows)
    imports.under_load(engines, rows, 50, options.seconds)


def _scrub(engines: Engines, options: Options) -> None:
    rows = options.rows(10_000_000)
    scrub.measure(engines, scrub.Size(rows, rows // 2, options.rounds, rows))


def _cost(_: Engines, options: Options) -> None:
    cost.measure([cost.ROOT], cost.PATHS, options.seconds, options.rounds, options.rows(200_000))


PROGRAMS: dict[str, Measure] = {
    "cost": _cost,
    "growth": lambda engines, options: growth.measure(
        engines, options.seconds, options.rounds, (options.rows(100), options.rows(200))
    ),
    "imports": _imports,
    "long_list": lambda engines, options: long_list.measure(engines, options.rows(1_000), 0.1),
    "metrics": lambda engines, options: metrics.measure(engines, options.rows(metrics.ASKED)),
    "scrub": _scrub,
    "traces": lambda engines, _: print(traces.traces(engines)),
}
"""What modules of this folder measure that are programs of their own, or of a larger one."""


def run(names: Sequence[str]) -> bool:
    """Whether a round of each passes, of all where none is named."""
    if not shutil.which("wrk"):
        print(NO_WRK, file=sys.stderr)
    names = names or [*MEASUREMENTS, *PROGRAMS]
    begun = time.monotonic()
    shared = {"DATABASE_URL", "REDIS_URL"} & os.environ.keys()  # who ends empties them
    lanes = 1 if shared else LANES
    with ProcessPoolExecutor(lanes, get_context("spawn")) as pool:
        found = pool.map(_failed, [names[lane::lanes] for lane in range(lanes)])
        failed = list(chain.from_iterable(found))
    took = time.monotonic() - begun
    print(f"{len(names)} in {took:.0f} s; failed: {', '.join(failed) or 'none'}")
    return not failed


def _failed(names: Sequence[str]) -> list[str]:
    """Those of these that do not pass, one after the other on engines of their own."""
    every = MEASUREMENTS | PROGRAMS
    os.environ["WEB_WORKERS"] = "1"  # each takes seconds of a processor to start
    with ground.engines() as engines:
        return [name for name in names if not _passes(name, every[name], engines)]


def _passes(name: str, measure: Measure, engines: Engines) -> bool:
    begun, printed = time.monotonic(), StringIO()
    try:
        with redirect_stdout(printed):
            measure(engines, TINY)
    except NotHere as error:
        print(f"{name}: {error}", flush=True)
        return False
    except Exception:  # noqa: BLE001 - the others are tried, too
        print(f"{name} fails:\n{printed.getvalue()}{traceback.format_exc()}", flush=True)
        return False
    print(f"{name} works ({time.monotonic() - begun:.0f} s)", flush=True)
    return True
