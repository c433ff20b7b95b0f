"""`python -m simulation.planting`: bugs planted on purpose, each of which must be found.

Every patch of `planted/` is applied to a copy of the checkout alone; the simulation there
must fail within so many seeds, or excuse more than its bounds allow, where it does not without the
patch. Exits with 1 for a bug that
is not found, and for a patch that does not apply any more.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PATCHES = sorted((ROOT / "simulation" / "planted").glob("*.patch"))
COPIED = ("app.py", "preference_center", "clients", "workers", "dev", "tests", "simulation",
          "templates", "migrations", "pyproject.toml")  # fmt: skip
_RED = re.compile(r"^seed (\d+): (.*)$", re.MULTILINE)
_EXCUSED = re.compile(r"^TOO OFTEN EXCUSED (.*): [\d.]+ a seed", re.MULTILINE)


class Red(NamedTuple):
    """How so many seeds fail: one alone, or all together by what they excuse too often."""

    seed: int
    runs: int
    failure: str


def copied(folder: Path) -> Path:
    """The code of this checkout, in `folder`."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


def found(patch: Path, given: argparse.Namespace) -> str | None:
    """How the simulation finds this bug, or None.

    A seed that fails in the same way without the bug does not count.
    """
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        copy = copied(Path(folder))
        subprocess.run(["patch", "-p1", "-s", "-i", patch], cwd=copy, check=True)
        seed = 1
        while seed <= given.runs:
            red = first_failure(copy, seed, given.runs - seed + 1, given.people)
            if red is None:
                return None
            if red != unplanted_failure(red.seed, red.runs, given.people):
                return f"seed {red.seed}: {red.failure}"
            seed = red.seed + red.runs
    return None


@cache
def unplanted_failure(seed: int, runs: int, people: int) -> Red | None:
    """The first of these seeds that fails without a planted bug; many bugs ask for the same."""
    return first_failure(ROOT, seed, runs, people)


def first_failure(folder: Path, seed: int, runs: int, people: int) -> Red | None:
    """The first of these seeds that fails with the code in `folder`, and how; None if none does."""
    command = [sys.executable, "-m", "simulation", "--until-red", "--shrink", "0"]
    command += ["--seed", str(seed), "--runs", str(runs), "--processes", "1"]
    command += ["--people", str(people)]
    run = subprocess.run(
        command,
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONHASHSEED": "0"},
    )
    red = read_failure(run.stdout, seed, runs)
    if red is None and run.returncode:
        print(run.stderr[-2000:])
    return red


def read_failure(output: str, seed: int, runs: int) -> Red | None:
    """What the simulation printed about these seeds; None if it found nothing."""
    if red := _RED.search(output):
        return Red(int(red[1]), 1, red[2])
    excused = _EXCUSED.search(output)
    return Red(seed, runs, f"too often excused: {excused[1]}") if excused else None


def main(arguments: list[str]) -> int:
    """Plant one after another, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m simulation.planting", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="seeds for each at most")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, help="bugs planted side by side"
    )
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("only", nargs="*", help="names of patches")
    given = parser.parse_args(arguments)
    chosen = [patch for patch in PATCHES if not given.only or patch.stem in given.only]
    missed = 0
    with ThreadPoolExecutor(given.processes) as pool:
        finds = zip(chosen, pool.map(partial(found, given=given), chosen), strict=True)
        for number, (patch, how) in enumerate(finds, 1):
            missed += how is None
            text = f"{patch.stem:32} {how or 'NOT FOUND'}"
            print(f"{number} of {len(chosen)}: {text}"[:200], flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
