"""Pictures of the consent tool on the demo's shops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev.demo.states import Demo
from dev.maintenance.pictures import TWO, Picture

if TYPE_CHECKING:
    from playwright.sync_api import Page


def _open_shop(page: Page, demo: Demo, path: str) -> None:
    host = {"cascina": "127.0.0.1", "bottega": "localhost"}[demo.brand]
    page.goto(f"http://{host}:{demo.shops_port}{path}?lang={demo.language}")


def _consent(page: Page, demo: Demo) -> None:
    _open_shop(page, demo, "/")
    page.get_by_role("region").wait_for()


def _consent_switches(page: Page, demo: Demo) -> None:
    _consent(page, demo)
    page.get_by_role("button", name="Choose").click()
    page.locator("summary").last.click()


def _page(page: Page, demo: Demo) -> None:
    _open_shop(page, demo, "/consent")
    page.locator("summary").last.click()


COOKIE_PICTURES = (
    Picture(
        "consent",
        "Cookies of a website",
        "The banner of the [consent tool](cookies.md) on a page of a shop.",
        _consent,
        TWO,
        script=True,
    ),
    Picture("consent-choose", "Choose", "Its switches.", _consent_switches, TWO, script=True),
    Picture(
        "bottega-consent",
        "Another shop",
        "Of another brand, in German.",
        _consent,
        TWO,
        "bottega",
        "de",
        script=True,
    ),
    Picture("consent-page", "The choice without a script", "At the shop's own origin.", _page),
)
