"""The banner of the consent tool: by keyboard, on any screen, in five languages, for everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.axe import violations
from tests.browser.both import IN_BOTH
from tests.browser.shops import FUNCTIONAL, Shops, shops_of, visiting

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from dev.demo.states import Demo


FOCUS = """() => {
    const inner = document.querySelector("preference-center-consent").shadowRoot.activeElement;
    const focus = inner ?? document.activeElement;
    return focus.closest("label")?.querySelector("b").textContent ?? focus.textContent;
}"""
SIZES = """(all) => all.map((e) => {
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    return [Math.round(box.width), Math.round(box.height), style.fontSize, style.fontWeight,
        style.color, style.backgroundColor, style.borderColor].join(" ");
})"""
SMALL_OR_WIDE = """(all) => all.filter((e) => {
    const box = e.getBoundingClientRect();
    return box.height && (box.height < 44 || box.left < 0 || box.right > innerWidth);
}).map((e) => e.textContent)"""
ACCEPT = {
    "en": "Accept all",
    "de-AT": "Alle akzeptieren",
    "fr": "Tout accepter",
    "es": "Aceptar todo",
    "it": "Accetta tutto",
    "nl": "Accept all",
}


@pytest.fixture(scope="module")
def shops(demo: Demo) -> Shops:
    return shops_of(demo)


def press(page: Page, *keys: str) -> str:
    """Press these keys; the text of what has the focus then."""
    for key in keys:
        page.keyboard.press(key)
    focus: str = page.evaluate(FOCUS)
    return focus


@IN_BOTH
def test_a_choice_by_keyboard_alone(browser: Browser, shops: Shops) -> None:
    with visiting(browser, shops.cascina) as visit:
        visit.banner.wait_for()
        page = visit.page
        assert page.evaluate("document.activeElement === document.body")  # it takes no focus
        focus = [press(page, "Tab") for _ in range(5)]
        assert focus == [
            "Continue without accepting",
            "Privacy notice",
            "Accept all",
            "Refuse all",
            "Choose",
        ]
        assert press(page, "Escape") == "Choose"  # decides nothing
        assert press(page, "Enter") == "Cookies on this site"
        assert press(page, "Escape") == "Choose"  # leaves the step
        press(page, "Enter")
        focus = [press(page, "Tab") for _ in range(4)]
        assert focus[2:] == ["Cookies of this category", "Functional"]
        press(page, "Space")
        focus = [press(page, "Tab") for _ in range(6)]
        assert focus[-3:] == ["Accept all", "Refuse all", "Save choice"]
        assert visit.cookies == []
        press(page, "Enter")
        visit.saved.get_by_text("Your choice is saved. ✓ Essential ✓ Functional").wait_for()
        visit.expect_ran(*FUNCTIONAL)


@IN_BOTH
def test_reopened_it_has_the_focus_gives_it_back_and_escape_changes_nothing(
    browser: Browser, shops: Shops
) -> None:
    with visiting(browser, shops.cascina) as visit:
        visit.press("Accept all")
        visit.saved.get_by_text("saved").wait_for()
        visit.page.get_by_role("link", name="Cookie choices").focus()
        before = visit.page.evaluate("preferenceCenter.consent.get()")
        for leave in ("Escape", "Enter"):
            assert press(visit.page, "Enter") == "Cookies on this site"
            if leave == "Enter":  # of the X, which is no refusal of what was accepted
                assert press(visit.page, "Tab") == "Close"
            assert press(visit.page, leave) == "Cookie choices"
            assert visit.banner.count() == 0
        assert visit.page.evaluate("preferenceCenter.consent.get()") == before


@pytest.mark.parametrize(
    "width, height", [(320, 640), (320, 256), (1280, 900)], ids=["narrow", "zoomed", "wide"]
)
def test_nothing_is_too_wide_or_too_small_and_the_three_buttons_are_alike(
    browser: Browser, shops: Shops, width: int, height: int
) -> None:  # C8; 320 by 256 is a zoom of 400% on a screen of 1280 by 1024 (WCAG 1.4.10)
    screen = {"width": width, "height": height}
    with visiting(browser, f"{shops.bottega}/?lang=en", viewport=screen) as visit:
        visit.banner.wait_for()
        assert len(set(visit.banner.locator(".buttons button").evaluate_all(SIZES))) == 1
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        visit.press("Choose")
        assert len(set(visit.banner.locator(".buttons button").evaluate_all(SIZES))) == 1
        targets = visit.banner.locator("button, label, summary")
        assert targets.evaluate_all(SMALL_OR_WIDE) == []
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        save = visit.banner.get_by_role("button", name="Save choice")
        save.scroll_into_view_if_needed()
        save.click()
        visit.saved.get_by_text("saved").wait_for()


@IN_BOTH
def test_the_language_is_that_of_the_page(browser: Browser, shops: Shops) -> None:
    with visiting(browser) as visit:
        for language, text in ACCEPT.items():
            visit.page.goto(f"{shops.cascina}/?lang={language}")
            visit.page.get_by_role("button", name=text).wait_for()
            shown = visit.page.get_by_role("region").get_attribute("lang")
            assert shown == ("en" if language == "nl" else language[:2])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_either_step(browser: Browser, shops: Shops, scheme: str) -> None:
    with visiting(
        browser, shops.cascina, gpc=True, color_scheme=scheme, reduced_motion="reduce"
    ) as visit:
        visit.banner.wait_for()
        assert violations(visit.page) == []
        visit.press("Choose")
        visit.banner.locator("summary").last.click()
        assert violations(visit.page) == []
        visit.press("Refuse all")
        visit.saved.get_by_text("saved").wait_for()
        assert violations(visit.page) == []
