"""The banner on pages of others: it moves nothing, and stays while the page is replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.both import IN_BOTH
from tests.browser.shops import Shops, page_with, shops_of, visiting

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from dev.demo.states import Demo


LAYOUTS = {
    "grid": "body { display: grid; grid-template-rows: auto 1fr auto; min-height: 100vh }",
    "flex": "body { display: flex; flex-direction: column; justify-content: space-between;"
    " min-height: 100vh }",
    "gap": "body { display: flex; flex-direction: column; gap: 60px }",
    "first child": "body > :first-child { padding-top: 90px }",
    "neighbours": "* + * { margin-top: 20px } body > * { position: relative; float: left }",
}
SCREENS = {"desktop": (1280, 800), "phone on its side": (844, 390)}
BOXES = """() => [...document.body.children].map((e) => {
    const { x, y, width, height } = e.getBoundingClientRect();
    return [e.localName, x, y, width, height];
})"""
SHIFTS = """window.shifted = 0;
    const count = (list) => list.getEntries().forEach((e) => shifted += e.value);
    new PerformanceObserver(count).observe({ type: "layout-shift" });"""


@pytest.fixture(scope="module")
def shops(demo: Demo) -> Shops:
    return shops_of(demo)


@IN_BOTH
@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_moves_nothing_whatever_lays_out_the_page(
    browser: Browser, shops: Shops, layout: str, screen: str
) -> None:
    width, height = SCREENS[screen]
    size = {"width": width, "height": height}
    with visiting(browser, viewport=size) as visit:
        visit.page.add_init_script(SHIFTS)
        held: list[Any] = []
        visit.page.route("**/config.json*", lambda route: held.append(route))  # noqa: PLW0108
        visit.open_page(shops, page_with(LAYOUTS[layout]))
        before = visit.page.evaluate(BOXES)
        visit.page.wait_for_load_state()
        while not held:
            visit.page.wait_for_timeout(10)
        held[0].continue_()
        visit.banner.wait_for()
        assert visit.page.evaluate(BOXES) == before
        box = visit.banner.bounding_box()
        assert box
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= height
        visit.press("Refuse all")
        visit.saved.get_by_text("saved").wait_for()
        assert visit.page.evaluate(BOXES) == before
        assert visit.page.evaluate("shifted") == 0


@IN_BOTH
def test_on_a_low_screen_it_scrolls_inside_itself_and_leaves_the_page_in_view(
    browser: Browser, shops: Shops
) -> None:
    with visiting(browser, viewport={"width": 320, "height": 256}) as visit:
        visit.open_page(shops, page_with())
        box = visit.banner.bounding_box()
        assert box
        assert box["height"] < 0.61 * 256
        assert visit.page.evaluate("document.documentElement.scrollHeight") <= 256
        refuse = visit.banner.get_by_role("button", name="Refuse all")
        refuse.scroll_into_view_if_needed()
        refuse.click()
        visit.saved.get_by_text("saved").wait_for()


def test_it_has_the_font_of_the_page(browser: Browser, shops: Shops) -> None:
    with visiting(browser) as visit:
        visit.open_page(shops, page_with("body { font-family: monospace }"))
        font = "e => getComputedStyle(e).fontFamily"
        assert visit.banner.get_by_role("button").last.evaluate(font) == "monospace"


@IN_BOTH
@pytest.mark.parametrize(
    "replace",
    [
        "document.body.replaceWith(document.createElement('body'))",
        "document.body = document.createElement('body')",
        "document.documentElement.innerHTML = '<head></head><body><p>Another route</p></body>'",
    ],
)
def test_it_stays_where_an_application_replaces_the_page(
    browser: Browser, shops: Shops, replace: str
) -> None:
    with visiting(browser) as visit:
        visit.open_page(shops, page_with())
        visit.banner.wait_for()
        visit.page.evaluate(replace)
        visit.press("Accept all")
        visit.saved.get_by_text("Your choice is saved.").wait_for()
        assert visit.wait_for_choice()["choices"] == {"functional": True, "advertising": True}


ROUTE = """(window.ran = [], () => {
    const route = document.createElement("main");
    route.innerHTML = `
        <script type="text/plain" data-consent="functional" data-src="/slow.js"></script>
        <script type="text/plain" data-consent="functional">ran.push("second")</script>
        <script type="text/plain" data-consent="advertising">ran.push("ads")</script>`;
    document.querySelector("main").replaceWith(route);
})"""


@IN_BOTH
def test_what_waits_on_another_route_starts_in_its_order_and_by_its_category(
    browser: Browser, shops: Shops
) -> None:
    with visiting(browser) as visit:
        visit.page.route("**/slow.js", lambda route: route.fulfill(body='ran.push("first")'))
        visit.open_page(shops, page_with())
        visit.press("Choose")
        visit.page.evaluate(ROUTE)  # before a choice nothing runs
        visit.banner.get_by_role("switch", name="Functional").check()
        assert visit.page.evaluate("ran") == []
        visit.press("Save choice")
        visit.page.wait_for_function("ran.length === 2")
        visit.page.evaluate(ROUTE)
        visit.page.wait_for_function("ran.length === 2 && ran[0] === 'first'")
        visit.settle()
        assert visit.page.evaluate("ran") == ["first", "second"]


@IN_BOTH
def test_a_base_of_another_origin_takes_no_choice_away(browser: Browser, shops: Shops) -> None:
    with visiting(browser) as visit:
        visit.open_page(shops, page_with(head='<base href="https://cdn.example/">'))
        visit.press("Accept all")
        visit.saved.get_by_text("Your choice is saved.").wait_for()
