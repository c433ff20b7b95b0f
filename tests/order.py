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
    ROOT / "dev" / "test_run.py",  # the longest first
    ROOT / "faults",
    ROOT / "dev",
    ROOT / "web" / "api" / "test_contract.py",
    ROOT / "lists" / "cli" / "test_scrub.py",
    ROOT / "ledger" / "feed" / "test_replica.py",
    ROOT / "infra" / "test_redis_connection.py",
)
SLOW_FILES = tuple(
    ROOT / name
    for name in (
        "dev/test_engines.py",
        "faults/test_clocks.py",
        "faults/test_digest_rotation.py",
        "faults/test_failover.py",
        "faults/test_few_rights.py",
        "faults/test_histories.py",
        "faults/test_locks.py",
        "faults/test_long_lists.py",
        "faults/test_long_work.py",
        "faults/test_mail.py",
        "faults/test_probes.py",
        "faults/test_restore_drill.py",
        "faults/test_slow_clients.py",
        "faults/test_slow_tools.py",
        "faults/test_spool_damage.py",
        "faults/test_streaming.py",
        "simulation/test_same_seed.py",
        "test_collection.py",
    )
)
_SLOW_BY_NAME = re.compile(
    r"after_ctrl_c_and_after_a_kill|redis_goes_and_are_delivered_after\[(frozen|killed)"
    r"|loses_no_promise\[killed|restarts_under_load_has_no_click_refused|never_thaws"
    r"|(in_hand|when_asked)\[.*away|processes_started_before_the_database"
    r"|flushing_redis_under_a_worker|suppressed_and_erased_there\[salesforce\]|a_lift_in_hand"
    r"|keeps_no_probe_waiting|a_worker_started_while_redis_is_away|an_undo_killed_in_the_middle"
    r"|an_interrupted_scrub_cleans_up|an_idle_process_stops_when_asked"
    r"|an_opt_out_by_mail_is_received_in_an_outage|is_known_once_it_is_written_down"
    r"|seventy_bad_hours_end_in_time\[(a Retry-After of nonsense|an absurd|garbage in)"
    r"|every_row_gets_the_answer_of_the_api\[2"
    r"|a_process_started_in_an_outage|a_web_process_started_before_the_database_answers"
    r"|an_erasure_is_finished_by_another_worker|a_web_process_asked_to_stop_while_it_starts"
    r"|a_frozen_connection_is_closed.*\[(transaction|find key|catalogue)"
)
"""Faults that take a minute or half of one; a cheaper one of the same kind stays behind."""
BEFORE_THE_END = 0.8
"""Of all other files, the share among which the long ones are dealt."""


def is_in_browser(path: Path) -> bool:
    """Whether this test is one of `make test-browser`."""
    return path.is_relative_to(ROOT / "browser")


def is_slow(path: Path, name: str) -> bool:
    """Whether `make test` leaves this test to `make test-faults`, so that it ends in minutes."""
    return path in SLOW_FILES or bool(_SLOW_BY_NAME.search(name))


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
