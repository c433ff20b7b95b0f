"""Every process collects the same tests: else pytest-xdist runs none of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def collect(hash_seed: int) -> list[str]:
    """The ids of all tests, as a process of its own collects them, with its own set order."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n0", "-pno:cacheprovider"]
    given = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment = given | {"PYTHONHASHSEED": str(hash_seed)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if "::" in line]


def test_ids_are_the_same_in_processes_that_start_seconds_apart() -> None:
    first = collect(hash_seed=1)
    second = collect(hash_seed=2)  # a collection takes longer than a second
    assert len(first) > 1000
    assert first == second
