"""The Chromium of this machine, headless: for browser tests and for screenshots."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dev.errors import BrowserError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first that is installed is used. The headless shell has the same pages and none of the
windows of a desktop: a page takes it half of the processor time."""
DISABLED_FEATURES = (
    # A page that a test has changed on its way has no address, and may load from local servers.
    "LocalNetworkAccessChecks",
    # A process in reserve costs more than it saves where each context opens one page.
    "SpareRendererForSitePerProcess",
    # Of those that Playwright disables: Chromium takes only the last such switch, ours.
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "HttpsUpgrades",
    "PaintHolding",
)
FLAGS = [
    "--headless",
    "--no-sandbox",  # Chromium refuses to run as root with it
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join(DISABLED_FEATURES)}",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser of its own. Raises BrowserError where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise BrowserError("no Chromium: `apt-get install chromium-headless-shell` (or chromium)")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - a second to import

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()
