"""The consent tool while the service is slow or away: the page goes on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from dev.maintenance.layout import ROOT
from tests.browser.shops import Shops, page_with, shops_of, visiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Route

    from dev.demo.states import Demo

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def shops(demo: Demo) -> Shops:
    return shops_of(demo)


def never(_: Route) -> None:
    """No answer."""


def example() -> str:
    text = (ROOT / "docs" / "cookies.md").read_text()
    return "".join(re.findall(r"```js\n(.*?)```", text, re.DOTALL))


def test_a_service_that_does_not_answer_holds_neither_the_page_nor_its_scripts(
    browser: Browser, shops: Shops
) -> None:
    with visiting(browser) as visit:
        visit.page.route("**/consent.js", never)
        visit.page.route("**/later.js", lambda route: route.fulfill(body="window.later = true"))
        page = page_with(body='<script src="/later.js" defer></script>')
        visit.open_page(shops, page, wait_until="domcontentloaded", timeout=10_000)
        assert visit.page.evaluate("later")


@pytest.mark.parametrize(
    "answer",
    [lambda route: route.abort(), lambda route: route.fulfill(status=500), never],
    ids=["blocked", "broken", "slow"],
)
@pytest.mark.parametrize("path", ["**/consent.js", "**/config.json*"])
def test_the_documented_examples_never_throw(
    browser: Browser, shops: Shops, path: str, answer: Callable[[Route], None]
) -> None:
    with visiting(browser, complains=True) as visit:
        errors: list[str] = []
        visit.page.on("pageerror", lambda error: errors.append(str(error)))
        visit.page.route(path, answer)
        page = page_with(body=f"<script>{{{example()}}} window.after = true</script>")
        visit.open_page(shops, page, wait_until="domcontentloaded")
        visit.page.wait_for_function("window.after")
        assert not errors


def test_a_deferred_script_of_the_site_that_comes_later_hears_the_choice(
    browser: Browser, shops: Shops
) -> None:
    listen = "document.addEventListener('preference-center:consent', () => { window.heard = true })"
    with visiting(browser) as visit:
        held: list[Route] = []
        visit.page.route("**/later.js", lambda route: held.append(route))  # noqa: PLW0108
        page = page_with(body='<script src="/later.js" defer></script>')
        with visit.page.expect_response("**/consent.js"):
            visit.open_page(shops, page, wait_until="commit")
        visit.page.wait_for_function("window.preferenceCenter")
        while not held:
            visit.page.wait_for_timeout(10)
        held[0].fulfill(body=listen)
        visit.page.wait_for_function("window.heard")
