"""The browsers of this machine, headless: for browser tests and, Chromium, for screenshots."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dev.errors import BrowserError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first that is installed is used. The headless shell has the same pages and none of the
windows of a desktop: a page takes it half of the processor time."""
FIREFOX_NAMES = ("firefox-esr", "firefox")
FOR_FIREFOX = Path(__file__).with_name("firefox.cjs")
"""What Node.js of Playwright must load first, by `--require` in NODE_OPTIONS, to drive Firefox."""
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
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - a second to import

    with sync_playwright() as playwright:
        browser = start_chromium(playwright)
        yield browser
        browser.close()


def start_chromium(playwright: Playwright) -> Browser:
    """Start it. Raises BrowserError where there is none."""
    found = _first_of(NAMES)
    if found is None:
        raise BrowserError("no Chromium: `apt-get install chromium-headless-shell` (or chromium)")
    return playwright.chromium.launch(executable_path=found, args=FLAGS)


def start_firefox(
    playwright: Playwright, preferences: Mapping[str, str | float | bool] | None = None
) -> Browser:
    """Start Firefox as it is shipped, with these of its `about:config`, driven by WebDriver BiDi.

    So driven, it runs scripts on every page, and requests don't have their bodies. Playwright needs
    FOR_FIREFOX. Raises BrowserError where there is none.
    """
    found = _first_of(FIREFOX_NAMES)
    if found is None:
        raise BrowserError("no Firefox: `apt-get install firefox-esr`")
    return playwright.firefox.launch(
        executable_path=found,
        channel="moz-firefox",  # else Playwright wants a Firefox that it has changed itself
        firefox_user_prefs=dict(preferences or {}),
    )


def _first_of(names: tuple[str, ...]) -> str | None:
    return next(filter(None, map(shutil.which, names)), None)
