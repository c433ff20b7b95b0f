"""The Python client against the service on a port, in its own process, as its users run it.

`make test-clients` runs it in an empty environment, into which only its wheel is installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / "clients" / "python"
LIVE = PYTHON / "tests" / "test_service.py"


def test_the_links_of_the_client_are_made_by_the_file_for_senders() -> None:
    ours = ROOT / "preference_center" / "core" / "links" / "offline.py"
    theirs = PYTHON / "src" / "preference_center_client" / "links.py"
    assert theirs.read_text(encoding="utf-8") == ours.read_text(encoding="utf-8")


@pytest.mark.skipif("TEST_CLIENTS" not in os.environ, reason="make test-clients")
def test_the_wheel_works_in_an_empty_environment(
    service_environ: dict[str, str], tmp_path: Path
) -> None:
    run_tests(install(tmp_path), PYTHON / "tests", service_environ)


def test_the_client_works_with_the_service(service_environ: dict[str, str]) -> None:
    source = {"PYTHONPATH": str(PYTHON / "src")}
    run_tests(Path(sys.executable), LIVE, service_environ | source)


def run_tests(python: Path, tests: Path, environ: dict[str, str]) -> None:
    """Run the client's tests in another process. It knows nothing but URL and keys."""
    # Nothing of the service can be imported from there but the tests, by their full name.
    options = ["-q", "--import-mode=importlib", "-p", "no:cacheprovider", "-W", "error"]
    done = subprocess.run(
        [python, "-m", "pytest", *options, "-c", PYTHON / "pyproject.toml", tests],
        cwd=ROOT,
        env=environ,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout, done.stdout


def install(folder: Path) -> Path:
    """Build the wheel and install it with what it can be used with; return the interpreter."""
    python = folder / "venv" / "bin" / "python"
    commands: list[list[str | Path]] = [
        [sys.executable, "-m", "uv", "build", "--quiet", "--wheel", "-o", folder, PYTHON],
        [sys.executable, "-m", "venv", folder / "venv"],
    ]
    for command in commands:
        subprocess.run(command, check=True)
    [wheel] = folder.glob("*.whl")
    wanted = [f"{wheel}[links,filter,django,anymail,flask]", "pytest", "hypothesis"]
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted],
        check=True,
    )
    return python
