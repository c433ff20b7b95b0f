"""Every process collects the same tests: else pytest-xdist runs none of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def collect_in_another_process() -> list[str]:
    """The ids of all tests, as a process collects them that has another order of sets."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n0", "-pno:cacheprovider"]
    given = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=given | {"PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if "::" in line]


def test_ids_are_the_same_in_a_process_that_starts_later(request: pytest.FixtureRequest) -> None:
    """Compared with those of this process, which has collected all of them, or those chosen."""
    here = [item.nodeid for item in request.session.items]
    there = collect_in_another_process()
    assert len(there) > 1000
    assert set(here) <= set(there)
