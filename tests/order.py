"""What `make test` leaves to other targets, and how it hands files to workers of pytest-xdist.

Some files start processes and mostly wait for them, others only compute. Dealt evenly among
the others, with one worker more than there are cores, the waiting of one is the computing
of another; and none of the long ones is left for the end, when nobody else has work.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parent
LONG = (
    ROOT / "dev",  # the longest first
    ROOT / "deploy",
    ROOT / "lists" / "cli" / "test_scrub.py",
    ROOT / "ledger" / "feed" / "test_replica.py",
    ROOT / "infra" / "test_redis_connection.py",
)
SLOW = tuple(
    ROOT / name
    for name in (
        "faults",
        "deploy/test_consent_recipes.py",
        "dev/test_engines.py",
        "dev/test_run.py",
        "dev/test_standby.py",
        "infra/db/test_migration_lock.py",
        "lists/imports/test_killed.py",
        "simulation/test_same_seed.py",
        "test_collection.py",
        "workers/test_growth.py",
        "workers/test_imports_of_processes.py",
    )
)
"""Folders and files whose tests mostly start and kill processes, or measure."""
_SLOW_BY_NAME = re.compile(
    r"suppressed_and_erased_there\[salesforce\]|keeps_no_probe_waiting"
    r"|an_interrupted_scrub_cleans_up|a_killed_scrub_leaves_nothing|is_known_once_it_is_written_down"
    r"|every_row_gets_the_answer_of_the_api\[2|a_claim_takes_no_more_than_a_tool_takes"
    r"|seventy_bad_hours_end_in_time\[(a Retry-After of nonsense|an absurd|garbage in)"
    r"|a_frozen_connection_is_closed.*\[(transaction|find key|catalogue)"
)
"""Others of this kind; a cheaper one stays behind."""
BEFORE_THE_END = 0.8
"""Of all other files, the share among which the long ones are dealt."""


def is_in_browser(path: Path) -> bool:
    """Whether this test is one of `make test-browser`."""
    return path.is_relative_to(ROOT / "browser")


def is_slow(path: Path, name: str) -> bool:
    """Whether `make test` leaves this test to `make test-faults`, so that it ends in minutes."""
    return any(map(path.is_relative_to, SLOW)) or bool(_SLOW_BY_NAME.search(name))


def workers() -> int:
    """One more than there are cores: at any time one of them waits for a process."""
    return (os.cpu_count() or 1) + 1


def dealt(paths: Iterable[Path]) -> list[Path]:
    """Return each path once, in the order in which they are best begun."""
    paths = list(dict.fromkeys(paths))
    long = sorted(filter(_is_long, paths), key=_rank)
    short = [path for path in paths if not _is_long(path)]
    return list(_among(long, short))


def _among(long: Sequence[Path], short: Sequence[Path]) -> Iterator[Path]:
    done = 0
    for number, path in enumerate(long, 1):
        yield path
        upto = int(len(short) * BEFORE_THE_END * number / len(long))
        yield from short[done:upto]
        done = upto
    yield from short[done:]


def _is_long(path: Path) -> bool:
    return _rank(path) < len(LONG)


def _rank(path: Path) -> int:
    found = (rank for rank, place in enumerate(LONG) if path.is_relative_to(place))
    return next(found, len(LONG))
