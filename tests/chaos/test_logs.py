"""What the logs may not hold is planted there, line by line."""

from __future__ import annotations

import pytest

from chaos.logs import log_faults

LOST_JOB = [
    "11:26:00 Worker 84: job sync-2-1: exception raised while executing\n",
    "Traceback (most recent call last):\n",
    '  File "rq/job.py", line 425, in get_status\n',
    "rq.exceptions.InvalidJobOperation: Failed to retrieve status for job: sync-2-1\n",
    "\n",
]
FINE = ['{"event": "synced", "rows": 17}\n', "[INFO] Started worker-1\n", *LOST_JOB]


def test_what_may_be_there() -> None:
    assert list(log_faults([FINE, FINE], shot=0)) == []


@pytest.mark.parametrize(
    "lines, expected",
    [
        (
            ["GET /v3/unsubscribes/person-3-14%40example.com\n"],
            "1 lines of the logs with an",
        ),  # I12
        (["POST /u/AbC-d_\n"], "with an address or a token"),  # I12
        (['{"event": "unexpected"}\n'], "1 unexpected errors in the logs"),
        ([*LOST_JOB[:3], "KeyError: 'key'\n"], "1 tracebacks in the logs that end with KeyError"),
        (["[ERROR] Unexpected exit from worker-2\n"] * 2, "2 processes of the web server died"),
    ],
)
def test_what_may_not(lines: list[str], expected: str) -> None:
    assert any(expected in line for line in log_faults([FINE, [*FINE, *lines]], shot=1))


def test_whoever_was_killed_is_not_missed() -> None:
    assert list(log_faults([["[ERROR] Unexpected exit from worker-1\n"]], shot=1)) == []
