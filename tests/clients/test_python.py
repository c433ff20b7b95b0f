"""The Python client against the service on a port, in its own process, as its users run it.

`make test-clients` runs it in an empty environment, into which only its wheel is installed.
"""

# ruff: noqa: F401, F811 - a fixture of another folder is imported by name

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from preference_center.context import services
from preference_center.domain.addresses import Channel
from preference_center.domain.events import ALL_MARKETING
from preference_center.links import LinkTopic
from preference_center.storage.access.link_keys import create_link_key
from preference_center.storage.db.database import run_in_transaction
from tests.api.sender import make_sender
from tests.browser.conftest import site
from tests.clock import START
from tests.in_force import put_in_force

if TYPE_CHECKING:
    from flask import Flask

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / "clients" / "python"
LIVE = PYTHON / "tests" / "test_service.py"


def test_the_links_of_the_client_are_made_by_the_file_for_senders() -> None:
    ours = ROOT / "preference_center" / "links" / "offline.py"
    theirs = PYTHON / "src" / "preference_center_client" / "links.py"
    assert theirs.read_text(encoding="utf-8") == ours.read_text(encoding="utf-8")


@pytest.mark.skipif("TEST_CLIENTS" not in os.environ, reason="make test-clients")
def test_the_wheel_works_in_an_empty_environment(app: Flask, site: str, tmp_path: Path) -> None:
    python = install(tmp_path)
    run_tests(app, site, python, PYTHON / "tests")


def test_the_client_works_with_the_service(app: Flask, site: str) -> None:
    run_tests(app, site, Path(sys.executable), LIVE)


def run_tests(app: Flask, site: str, python: Path, tests: Path) -> None:
    """Run the client's tests in another process. It knows nothing but URL and keys."""
    put_in_force(app)
    environ = {
        "PATH": os.environ["PATH"],
        "PREFERENCE_CENTER_URL": site,
        "PREFERENCE_CENTER_KEY": make_sender(app).key,
        "PREFERENCE_CENTER_LIMITED_KEY": make_sender(
            app, "limited", ["check"], ["offers.weekly"]
        ).key,
        "PREFERENCE_CENTER_LINK_KEY": make_link_key(app, site),
    }
    if python == Path(sys.executable):
        environ["PYTHONPATH"] = str(PYTHON / "src")
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


def make_link_key(app: Flask, site: str) -> str:
    """A key that makes links offline, which lead to the port of this test."""
    topics = ("acme.offers", ALL_MARKETING)
    with app.app_context():
        key = run_in_transaction(
            lambda c: create_link_key(c, "shop", services().links.newest_key_id, topics, START)
        )
        rows = [LinkTopic(topic, Channel.EMAIL, site) for topic in topics]
        return services().links.export_sender_key(key, rows)
