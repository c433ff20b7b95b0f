"""The consent tool on a site: what is loaded, kept and deleted, as a network log shows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.browser.both import IN_BOTH
from tests.browser.pressing import press
from tests.browser.shops import (
    ALL,
    FUNCTIONAL,
    Shops,
    Visit,
    shops_of,
    visiting,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from dev.demo.states import Demo


NAMED = ["_ad_click", "_ad_id", "shop_recent"]
"""What the dummies keep."""
RECORD_SETTERS = """
    window.setByScript = [];
    const { get, set } = Object.getOwnPropertyDescriptor(Document.prototype, "cookie");
    Object.defineProperty(document, "cookie", { get: () => get.call(document), set: (text) => {
      window.setByScript.push(text.split("=")[0]);
      set.call(document, text);
    } });
"""


@pytest.fixture(scope="module")
def shops(demo: Demo) -> Shops:
    return shops_of(demo)


def assert_nothing_optional(visit: Visit, cookies: list[str]) -> None:
    visit.settle()
    visit.expect_ran()
    assert visit.optional == []
    assert visit.cookies == cookies


@IN_BOTH
def test_nothing_optional_is_loaded_before_a_choice_and_scrolling_is_none(
    browser: Browser, shops: Shops
) -> None:  # RULES D1
    with visiting(browser, shops.cascina) as visit:
        visit.banner.wait_for()
        visit.page.add_script_tag(url=f"{shops.service}/consent.js")  # again, by mistake
        visit.page.mouse.wheel(0, 2000)
        visit.page.get_by_role("link", name="Journal").click()
        visit.banner.wait_for()
        assert_nothing_optional(visit, [])
        hosts = {urlsplit(request.url).netloc for request in visit.requests} - {""}
        assert hosts == {urlsplit(url).netloc for url in (shops.cascina, shops.service)}


@IN_BOTH
@pytest.mark.parametrize("button", ["Continue without accepting", "Refuse all"])
def test_nothing_optional_is_loaded_after_x_and_after_refusal(
    browser: Browser, shops: Shops, button: str
) -> None:  # RULES D2
    with visiting(browser, shops.cascina) as visit:
        visit.press(button)
        visit.saved.get_by_text("Essential").wait_for()
        assert visit.banner.count() == 0
        visit.page.reload()
        assert_nothing_optional(visit, ["pc_consent"])
        assert visit.banner.count() == 0  # not asked again
        choice = visit.wait_for_choice()
        assert choice["choices"] == {"functional": False, "advertising": False}


@IN_BOTH
def test_a_choice_is_recorded_on_a_site_without_tls(browser: Browser, shops: Shops) -> None:
    with visiting(browser) as visit:
        # Browsers have it in secure contexts only; they take 127.0.0.1 for one.
        visit.page.add_init_script("delete Crypto.prototype.randomUUID")
        visit.page.goto(shops.cascina)
        visit.press("Refuse all")
        visit.saved.get_by_text("Essential").wait_for()
        assert visit.page.evaluate("crypto.randomUUID") is None
        assert visit.wait_for_choice()["choices"] == {"functional": False, "advertising": False}
        assert visit.cookies == ["pc_consent"]


@IN_BOTH
def test_what_waits_runs_in_order_after_acceptance_and_on_the_next_page(
    browser: Browser, shops: Shops
) -> None:
    with visiting(browser, shops.cascina) as visit:
        visit.press("Accept all")
        visit.saved.get_by_text("Advertising").wait_for()
        visit.expect_ran(*ALL)
        assert visit.cookies == sorted([*NAMED, "pc_consent"])
        visit.page.get_by_role("link", name="Journal").click()
        visit.expect_ran(*ALL)
        (cookie,) = (c for c in visit.page.context.cookies() if c["name"] == "pc_consent")
        assert cookie["value"].endswith(".functional+advertising")
        assert not cookie["httpOnly"]
        left = timedelta(seconds=cookie["expires"] - datetime.now(UTC).timestamp())
        assert timedelta(days=182) < left < timedelta(days=183)  # six months


@IN_BOTH
def test_only_the_chosen_category_runs(browser: Browser, shops: Shops) -> None:
    with visiting(browser, shops.cascina) as visit:
        visit.press("Choose")
        visit.banner.get_by_role("switch", name="Functional").check()
        visit.press("Save choice")
        visit.expect_ran(*FUNCTIONAL)
        assert visit.optional == ["shop-functional.js"]


@IN_BOTH
def test_a_withdrawal_from_the_footer_deletes_named_cookies_and_loads_the_page_again(
    browser: Browser, shops: Shops
) -> None:  # RULES D4
    with visiting(browser, f"{shops.cascina}/journal") as visit:
        visit.press("Accept all")
        visit.expect_ran(*ALL)
        visit.page.evaluate("document.cookie = 'other=1'")
        visit.page.get_by_role("link", name="Cookie choices").click()
        assert visit.banner.get_by_role("switch", name="Advertising").is_checked()
        with visit.page.expect_navigation():
            visit.press("Refuse all")
        visit.requests.clear()
        visit.page.reload()
        assert_nothing_optional(visit, ["other", "pc_consent"])


@IN_BOTH
def test_a_page_that_handles_a_withdrawal_itself_is_not_loaded_again(
    browser: Browser, shops: Shops
) -> None:
    with visiting(browser, shops.cascina) as visit:
        visit.press("Accept all")
        visit.expect_ran(*ALL)
        visit.page.evaluate(
            "preferenceCenter.consent.onChange((choice) => { window.told = choice; return false })"
        )
        visit.page.get_by_role("link", name="Cookie choices").click()
        visit.press("Refuse all")
        visit.saved.get_by_text("Your choice is saved. ✓ Essential", exact=True).wait_for()
        assert visit.page.evaluate("told.choices") == {"functional": False, "advertising": False}
        visit.expect_ran(*ALL)  # what ran is still there
        assert visit.cookies == ["pc_consent"]


@IN_BOTH
def test_with_gpc_advertising_stays_off_and_the_banner_shows_that_it_was_honoured(
    browser: Browser, shops: Shops
) -> None:  # RULES D8
    with visiting(browser, shops.cascina, gpc=True) as visit:
        visit.banner.get_by_text("Opt-out honoured").wait_for()
        assert_nothing_optional(visit, [])
        visit.press("Accept all")
        visit.expect_ran(*FUNCTIONAL)
        visit.page.get_by_role("link", name="Cookie choices").click()
        switch = visit.banner.get_by_role("switch", name="Advertising")
        assert switch.is_disabled()
        assert not switch.is_checked()


@IN_BOTH
def test_with_gpc_nothing_is_asked_where_only_advertising_is_optional(
    browser: Browser, shops: Shops
) -> None:
    table = "[sites.cascina.categories.functional.cookies]\n"
    shops.put_in_force(shops.catalogue.replace(table, ""))  # its cookie is essential now
    try:
        with visiting(browser, gpc=True) as visit:
            with visit.page.expect_response("**/consent"):
                visit.page.goto(shops.cascina)
            visit.wait_for_choice()
            assert visit.banner.count() == 0
            assert_nothing_optional(visit, ["pc_consent"])  # and it is on record
            visit.page.get_by_role("link", name="Cookie choices").click()
            visit.banner.get_by_text("Opt-out honoured").wait_for()
    finally:
        shops.put_in_force(shops.catalogue)


@IN_BOTH
def test_six_months_later_the_browser_is_asked_again(browser: Browser, shops: Shops) -> None:
    from playwright.sync_api import expect

    now = datetime.now(UTC)  # RULES D3
    with visiting(browser, shops.cascina) as visit:
        visit.press("Accept all")
        visit.expect_ran(*ALL)
        for days, is_asked in ((175, False), (190, True)):
            visit.page.clock.set_fixed_time(now + timedelta(days=days))
            visit.requests.clear()
            visit.page.reload()
            visit.settle()
            expect(visit.banner).to_have_count(int(is_asked))
        assert visit.optional == []


def test_a_changed_purpose_is_asked_about_again(browser: Browser, shops: Shops) -> None:
    changed = shops.catalogue.replace('purpose = "personalisation"', 'purpose = "statistics"')
    with visiting(browser, shops.cascina, complains=True) as visit:
        visit.banner.wait_for()
        shops.put_in_force(changed)
        try:
            with visit.page.expect_response("**/config.json*"):
                visit.press("Accept all")  # of what was shown before: nothing is recorded
            visit.banner.wait_for()
            assert visit.optional == []
            visit.press("Accept all")
            visit.expect_ran(*ALL)
        finally:
            shops.put_in_force(shops.catalogue)
        visit.page.context.new_cdp_session(visit.page).send("Network.clearBrowserCache")
        visit.page.reload()
        visit.banner.wait_for()
        visit.expect_ran()


@IN_BOTH
def test_the_choice_outlives_cookies_that_scripts_set(browser: Browser, shops: Shops) -> None:
    """Safari deletes after seven days of use what was set by `document.cookie`."""
    with visiting(browser) as visit:
        visit.page.add_init_script(RECORD_SETTERS)
        visit.page.goto(shops.cascina)
        visit.press("Accept all")
        visit.expect_ran(*ALL)
        by_script = set(visit.page.evaluate("setByScript"))
        assert by_script >= set(NAMED)
        for name in by_script - {"pc_consent"}:
            visit.page.context.clear_cookies(name=name)
        (cookie,) = visit.page.context.cookies()
        assert cookie["value"].count(".") == 4  # of the answer; until then the script has its own
        visit.page.reload()
        visit.settle()
        assert visit.banner.count() == 0
        visit.expect_ran(*ALL)


def test_a_browser_that_blocks_cookies_is_asked_each_time_and_nothing_breaks(
    browser: Browser, shops: Shops
) -> None:
    with visiting(browser) as visit:
        devtools = visit.page.context.new_cdp_session(visit.page)
        devtools.send("Emulation.setDocumentCookieDisabled", {"disabled": True})
        visit.page.goto(shops.cascina)
        visit.press("Accept all")
        visit.saved.get_by_text("Your choice is saved.").wait_for()
        visit.expect_ran(*ALL)
        visit.page.context.clear_cookies()
        visit.page.reload()
        visit.banner.wait_for()
        visit.expect_ran()


@IN_BOTH
@pytest.mark.parametrize("path", ["/consent", "config.json"])
def test_while_the_service_is_away_nothing_optional_runs_and_the_page_works(
    browser: Browser, shops: Shops, path: str
) -> None:  # I11
    with visiting(browser, complains=True) as visit:
        visit.page.route(
            lambda url: urlsplit(url).path.endswith(path),
            lambda route: route.abort(),
        )
        visit.page.goto(shops.cascina)
        if path == "/consent":
            visit.press("Accept all")
            visit.saved.get_by_text("could not be saved").wait_for()
        assert_nothing_optional(visit, ["pc_consent"] if path == "/consent" else [])
        press(visit.page.get_by_role("link", name="Journal"))
        assert visit.page.get_by_role("heading", name="Journal").is_visible()


@IN_BOTH
def test_a_choice_in_another_tab_counts_in_this_one(browser: Browser, shops: Shops) -> None:
    with visiting(browser, shops.cascina) as visit:
        visit.banner.wait_for()
        other = Visit(visit.page.context.new_page())
        other.page.goto(f"{shops.cascina}/journal")
        other.press("Accept all")
        other.expect_ran(*ALL)
        visit.page.bring_to_front()
        visit.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        visit.expect_ran(*ALL)
        assert visit.banner.count() == 0


def test_without_a_script_the_link_of_the_footer_leads_to_a_page_that_keeps_the_choice(
    browser: Browser, shops: Shops
) -> None:
    with visiting(browser, shops.cascina, java_script_enabled=False) as visit:
        press(visit.page.get_by_role("link", name="Cookie choices"))
        assert visit.page.url == f"{shops.cascina}/consent"
        visit.page.get_by_role("checkbox", name="Functional").check()
        press(visit.page.get_by_role("button", name="Save choice"))
        assert "Your choice is saved." in visit.page.get_by_role("status").inner_text()
        visit.page.goto(f"{shops.cascina}/consent")  # read back
        assert visit.page.get_by_role("checkbox", name="Functional").is_checked()
        assert not visit.page.get_by_role("checkbox", name="Advertising").is_checked()
        kept = visit.page.context.storage_state()
    with visiting(browser, storage_state=kept) as visit:  # with scripts again
        visit.page.goto(shops.cascina)
        visit.expect_ran(*FUNCTIONAL)
        assert visit.banner.count() == 0


@IN_BOTH
def test_each_shop_keeps_choices_of_its_own_in_its_own_looks(
    browser: Browser, shops: Shops
) -> None:
    colours = []
    with visiting(browser) as visit:
        for origin in (shops.cascina, shops.bottega):
            visit.page.goto(origin)
            button = visit.banner.get_by_role("button", name="Accept all")
            colours.append(button.evaluate("e => getComputedStyle(e).backgroundColor"))
            button.click()
            visit.saved.get_by_text("Your choice is saved.").wait_for()
            visit.expect_ran(*ALL)  # leaving the page would end one script, and run the next
        assert colours == ["rgb(47, 107, 58)", "rgb(194, 24, 91)"]
        assert visit.cookies.count("pc_consent") == 2
