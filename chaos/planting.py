"""`python -m chaos.planting`: a bug planted in the service, which a run must find.

Every patch is applied to a copy of the checkout alone, and the audit of a short run there must
fail. Exits with 1 for a bug that is not found.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from simulation.planting import ROOT, copied

BALANCED = "the audit passes"
PATCHES = sorted((ROOT / "chaos" / "planted").glob("*.patch"))


def found(patch: Path, arguments: list[str]) -> list[str]:
    """Whose rows do not balance with this bug: nobody's if it is not found.

    Raises CalledProcessError if the run did not come to its end.
    """
    kept = ROOT / ".data"  # the servers' account can reach it, so that all of it goes in the end
    kept.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="planted-", dir=kept) as folder:
        copy = copied(Path(folder))
        copy.chmod(0o711)
        shutil.copytree(ROOT / "chaos", copy / "chaos")
        shutil.copy(ROOT / "Procfile", copy)
        subprocess.run(["patch", "-p1", "-s", "-i", patch], cwd=copy, check=True)  # noqa: S603 - ours
        command = [sys.executable, "-m", "chaos", *arguments]
        came = subprocess.run(command, cwd=copy, check=False, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
        print(came.stdout, end="")
    if BALANCED not in came.stdout and not came.stdout.endswith(" faults\n"):
        came.check_returncode()  # it did not come to its end
    return [line for line in came.stdout.splitlines() if "person-" in line]


def main(arguments: list[str]) -> int:
    """Plant one after another, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m chaos.planting", description=__doc__)
    parser.add_argument("--minutes", default="1", help="how long each run strikes (1)")
    parser.add_argument("--rate", default="300", help="opt-outs a second (300)")
    parser.add_argument("patches", nargs="*", type=Path, help="patches, else those of planted/")
    given = parser.parse_args(arguments)
    missed = 0
    for patch in given.patches or PATCHES:
        how = found(
            patch.resolve(),
            ["--minutes", given.minutes, "--rate", given.rate, "--seed", "planted"],
        )
        missed += not how
        print(f"{patch.stem}: {'found' if how else 'NOT FOUND'}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
