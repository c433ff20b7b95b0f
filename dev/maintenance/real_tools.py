"""Install the tools that `make test-real` runs: `python -m dev.maintenance.real_tools`.

Each gets a virtual environment of its own in .data/real, from a file of hashed versions;
again when that file changes. In tests/real/requirements, such a file is made again by
`uv pip compile --python-version 3.11 --generate-hashes --no-strip-extras --no-annotate --no-header
X.in -o X.txt`.

Ghost is not among them: `python -m dev.maintenance.real_tools ghost` installs it from npm, which
builds two libraries with node-gyp (minutes, and 600 MB).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".data" / "real"
REQUIREMENTS = ROOT / "tests" / "real" / "requirements"
TOOLS = ("mailman", "tryton", "moto", "dbt")
TOO_NEW = {"mailman": (3, 13)}
"""The first Python that a tool does not run on."""
GHOST = "GHOST"
"""Environment variable with the path of an unpacked and installed package of Ghost."""
GHOST_VERSION = "5.130.6"
"""The last that runs on Node.js 20."""


def runs_here(tool: str) -> bool:
    """Whether this Python is old enough for the tool."""
    return sys.version_info[:2] < TOO_NEW.get(tool, (4, 0))


def install(tool: str) -> str:
    """Bring a tool's environment up to date; a line that reports what was done."""
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
    # The file names every dependency. Older pip, let loose on them, takes the newest `name[extra]`
    # although `name` is pinned, and then refuses it because it has no hash.
    locked = ["--no-deps", "--require-hashes", "-r", str(wanted)]
    command = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", *locked]
    subprocess.run([str(home / "bin" / "python"), *command], check=True)
    stamp.write_text(mark)
    return f"{tool}: installed"


def ghost_package() -> Path | None:
    """Where Ghost is installed, if it is: by `install_ghost`, or where GHOST points."""
    if named := os.environ.get(GHOST):
        return Path(named)
    home = HOME / "ghost"
    return home / "package" if (home / "installed").exists() else None


def install_ghost() -> str:
    """Install Ghost from npm. Raises CalledProcessError where npm fails.

    As a dependency of another package it does not install: it has a dependency of its own in a
    file next to it. Those for its own tests are left out, since one is no package of npm's.
    """
    home = HOME / "ghost"
    stamp = home / "installed"
    if stamp.exists() and stamp.read_text() == GHOST_VERSION:
        return "ghost: there"
    npm = shutil.which("npm")
    if npm is None:
        return "ghost: left out, there is no npm here"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    subprocess.run([npm, "pack", "--silent", f"ghost@{GHOST_VERSION}"], cwd=home, check=True)
    shutil.unpack_archive(home / f"ghost-{GHOST_VERSION}.tgz", home, filter="data")
    described = home / "package" / "package.json"
    package = json.loads(described.read_text())
    del package["devDependencies"]
    described.write_text(json.dumps(package))
    options = ["--omit=dev", "--no-audit", "--no-fund", "--legacy-peer-deps"]
    subprocess.run([npm, "install", "--silent", *options], cwd=home / "package", check=True)
    stamp.write_text(GHOST_VERSION)
    return "ghost: installed"


def main(names: Sequence[str]) -> None:
    """Install them all, side by side, or Ghost if it is named."""
    if "ghost" in names:
        print(install_ghost(), flush=True)
        return
    with ThreadPoolExecutor() as pool:
        for line in pool.map(install, TOOLS):
            print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
