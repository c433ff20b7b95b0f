"""The processes of the service, as the Procfile names them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from preference_center.infra.files import ROOT

PROCFILE = ROOT / "Procfile"


def read_procfile(path: Path = PROCFILE) -> dict[str, str]:
    """The command line of each process type, for a shell."""
    return dict(re.findall(r"^([A-Za-z0-9_-]+):\s*(.+)$", path.read_text(), re.MULTILINE))


def process_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` in which these command lines find this Python, its programs and our code."""
    return {
        **environ,
        "PATH": _prepend(str(Path(sys.executable).parent), environ.get("PATH")),
        "PYTHONPATH": _prepend(str(ROOT), environ.get("PYTHONPATH")),
    }


def become(name: str) -> NoReturn:
    """Replace this process with that of the Procfile, in the same folder and environment.

    Raises KeyError if it names no such process.
    """
    command = ["sh", "-c", f"exec {read_procfile()[name]}"]
    os.execvpe(command[0], command, process_environment(os.environ))  # noqa: S606 - no input of anybody's


def _prepend(folder: str, path: str | None) -> str:
    return f"{folder}{os.pathsep}{path}" if path else folder
