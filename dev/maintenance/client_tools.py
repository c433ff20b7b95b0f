"""`python -m dev.maintenance.client_tools`: install what `make test-clients` needs.

A generator of Python clients in an environment of its own, and from npm a generator of types, the
compiler that reads them, and the runtimes that the JavaScript client is run in: 600 MB in
.data/clients, from files of hashed versions in tests/clients/requirements, and again when those
change. The file for Python is made again as those of `dev.maintenance.real_tools` are;
package-lock.json by `npm install --package-lock-only`.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".data" / "clients"
REQUIREMENTS = ROOT / "tests" / "clients" / "requirements"
PYTHON_GENERATOR = HOME / "python" / "bin" / "openapi-python-client"
NODE_MODULES = HOME / "node" / "node_modules"


def install_python() -> str:
    """Bring the generator of Python clients up to date; a line that reports what was done."""
    wanted = REQUIREMENTS / "openapi-python-client.txt"
    home = HOME / "python"
    mark = _digest(wanted) + sys.version
    if _is_installed(home, mark):
        return "openapi-python-client: there"
    venv.create(home, with_pip=True)
    command = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([home / "bin" / "python", *command, "--require-hashes", "-r", wanted], home)
    _mark_installed(home, mark)
    return "openapi-python-client: installed"


def install_node() -> str:
    """The same for what is written in JavaScript; nothing without npm."""
    npm = shutil.which("npm")
    if npm is None:
        return "from npm: nothing, it is not here"
    files = [REQUIREMENTS / "package.json", REQUIREMENTS / "package-lock.json"]
    home = HOME / "node"
    mark = _digest(*files)
    if _is_installed(home, mark):
        return "from npm: there"
    home.mkdir(parents=True)
    for file in files:
        shutil.copy(file, home)
    _run([npm, "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"], home)
    _mark_installed(home, mark)
    return "from npm: installed"


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _is_installed(home: Path, mark: str) -> bool:
    """Whether it is there as `mark` says; what else is there is removed."""
    stamp = home / "installed"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == mark:
        return True
    shutil.rmtree(home, ignore_errors=True)
    return False


def _mark_installed(home: Path, mark: str) -> None:
    (home / "installed").write_text(mark, encoding="utf-8")


def _run(command: Sequence[str | Path], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True)


if __name__ == "__main__":
    for install in (install_python, install_node):
        print(install(), flush=True)
