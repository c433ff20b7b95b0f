"""axe-core, the accessibility checker, fetched from npm when a test first needs it.

It is a tool of the tests alone, so no copy of it is kept in the repository; the version is
fixed, and npm checks what it downloads.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

VERSION = "4.14.1"
FOLDER = Path(__file__).resolve().parents[2] / ".data" / f"axe-core-{VERSION}"
OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
    # Nobody reads selectors here, and no rule of these reads the texts of style sheets.
    "selectors": False,
    "preload": {"assets": ["media"]},
}


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong with the page as it is now: rule, and elements concerned."""
    page.wait_for_load_state()  # a press does not wait for the next page's styles
    if not page.evaluate("'axe' in window"):  # by the debugger, as the page's policy forbids it
        page.add_init_script(_script())  # for the pages after this one: half a megabyte, sent once
        page.evaluate(_script())
    found: list[dict[str, Any]] = page.evaluate(
        "async options => (await axe.run(document, options)).violations", OPTIONS
    )
    return [
        f"{rule['id']}: {rule['help']}: {[node['html'] for node in rule['nodes']]}"
        for rule in found
    ]


@cache
def _script() -> str:
    """The source of axe-core. Skips the test where npm is missing or can't fetch it."""
    script = FOLDER / "node_modules" / "axe-core" / "axe.min.js"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("a") as lock:  # other workers of pytest-xdist
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not script.exists():
            _fetch()
    return script.read_text(encoding="utf-8")


def _fetch() -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm to fetch axe-core with: `apt-get install npm`")
    command = [npm, "install", "--ignore-scripts", "--no-save", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(
            [*command, "--prefix", str(FOLDER), f"axe-core@{VERSION}"],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    except subprocess.TimeoutExpired:
        shutil.rmtree(FOLDER / "node_modules", ignore_errors=True)  # it may be half-written
        pytest.skip("npm has not fetched axe-core in ten minutes")
    if done.returncode:
        pytest.skip(f"npm can't fetch axe-core: {done.stderr.strip()[-200:]}")
