"""The consent tool on pages whose markup is careless, or partly somebody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.both import IN_BOTH
from tests.browser.shops import ALL, FUNCTIONAL, Shops, Visit, shops_of, visiting

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

    from dev.demo.states import Demo


@pytest.fixture(scope="module")
def shops(demo: Demo) -> Shops:
    return shops_of(demo)


def open_with(visit: Visit, shops: Shops, old: str, new: str) -> None:
    """Open the shop with this change of its markup."""

    def change(route: Route) -> None:
        response = route.fetch()
        text = response.text()
        assert old in text
        route.fulfill(response=response, body=text.replace(old, new, 1))

    visit.page.route(f"{shops.cascina}/", change)
    visit.page.goto(f"{shops.cascina}/")


@IN_BOTH
@pytest.mark.parametrize("attribute", ["", " defer"])
def test_without_async_it_waits_for_the_page(
    browser: Browser, shops: Shops, attribute: str
) -> None:
    with visiting(browser) as visit:
        open_with(visit, shops, " async></script>", f"{attribute}></script>")
        visit.press("Accept all")
        visit.expect_ran(*ALL)


@pytest.mark.parametrize("category", ["constructor", "__proto__", "toString", "marketing", ""])
def test_what_waits_for_no_category_of_the_site_never_runs(
    browser: Browser, shops: Shops, category: str
) -> None:
    with visiting(browser) as visit:
        open_with(visit, shops, 'data-consent="advertising"', f'data-consent="{category}"')
        visit.press("Accept all")
        visit.expect_ran(*FUNCTIONAL)
        visit.settle()
        assert "shop-advertising.js" not in visit.optional


@IN_BOTH
def test_an_element_named_as_the_running_script_can_not_take_its_place(
    browser: Browser, shops: Shops
) -> None:
    planted = '<img name="currentScript" src="/planted/" data-site="planted">'
    with visiting(browser, complains=True) as visit:
        open_with(visit, shops, "<script src=", f"{planted}<script src=")
        visit.settle()
        assert not [each.url for each in visit.requests if "config.json" in each.url]
        assert visit.banner.count() == 0
        visit.expect_ran()


@IN_BOTH
def test_a_withdrawal_counts_where_its_answer_breaks_off(browser: Browser, shops: Shops) -> None:
    with visiting(browser, shops.cascina, complains=True) as visit:
        visit.press("Accept all")
        visit.expect_ran(*ALL)
        visit.page.route("**/consent", lambda route: route.fulfill(status=201, body='{"id": '))
        visit.page.get_by_role("link", name="Cookie choices").click()
        with visit.page.expect_navigation():
            visit.press("Refuse all")
        visit.settle()
        visit.expect_ran()
        assert visit.cookies == ["pc_consent"]  # to be sent again


@IN_BOTH
def test_a_frame_without_an_address_stays_empty(browser: Browser, shops: Shops) -> None:
    with visiting(browser) as visit:
        open_with(
            visit, shops, "<img ", '<iframe data-consent="functional" title="x"></iframe><img '
        )
        visit.press("Accept all")
        visit.expect_ran(*ALL)
        visit.settle()
        assert not [each.url for each in visit.requests if each.url.endswith("/undefined")]
