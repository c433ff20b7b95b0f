"""Install the tools that `make test-real` runs: `python -m dev.real_tools`.

Each gets a virtual environment of its own in .data/real, from a file of hashed versions;
again when that file changes. In tests/real/requirements, such a file is made anew by
`uv pip compile --python-version 3.11 --generate-hashes --no-annotate --no-header X.in -o X.txt`.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent
HOME = ROOT / ".data" / "real"
REQUIREMENTS = ROOT / "tests" / "real" / "requirements"
TOOLS = ("mailman", "tryton", "moto")
TOO_NEW = {"mailman": (3, 13)}
"""The first Python that a tool does not run on."""


def runs_here(tool: str) -> bool:
    """Whether this Python is old enough for the tool."""
    return sys.version_info[:2] < TOO_NEW.get(tool, (4, 0))


def install(tool: str) -> str:
    """Bring a tool's environment up to date; a line that says what was done."""
    if not runs_here(tool):
        return f"{tool}: left out, it does not run on Python {sys.version_info[1]}"
    wanted = REQUIREMENTS / f"{tool}.txt"
    mark = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()
    home = HOME / tool
    stamp = home / "installed"
    if stamp.exists() and stamp.read_text() == mark:
        return f"{tool}: there"
    shutil.rmtree(home, ignore_errors=True)
    venv.create(home, with_pip=True)
    command = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [home / "bin" / "python", *command, "--require-hashes", "-r", wanted], check=True
    )
    stamp.write_text(mark)
    return f"{tool}: installed"


def main() -> None:
    """Install them all, side by side."""
    with ThreadPoolExecutor() as pool:
        for line in pool.map(install, TOOLS):
            print(line, flush=True)


if __name__ == "__main__":
    main()
