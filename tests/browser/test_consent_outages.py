"""The consent tool while the service is slow or away: the page goes on, and the proof is right."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from dev.maintenance.layout import ROOT
from dev.processes import wait_until
from tests.browser.both import IN_BOTH
from tests.browser.endpoints import (
    Endpoint,
    accept,
    away,
    cookie,
    is_ended,
    is_in_force,
    lost,
    never,
    refuse,
)
from tests.browser.shops import ALL, ESSENTIAL, Shops, Visit, page_with, shops_of, visiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Route

    from dev.demo.states import Demo


LOOKED_AT_AGAIN = "document.dispatchEvent(new Event('visibilitychange'))"
RESTORED = "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"
"""What browsers do when Back shows a page as it was left. Playwright switches that off."""


@pytest.fixture(scope="module")
def shops(demo: Demo) -> Shops:
    return shops_of(demo)


def example() -> str:
    text = (ROOT / "docs" / "cookies.md").read_text()
    return "".join(re.findall(r"```js\n(.*?)```", text, re.DOTALL))


@IN_BOTH
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


@IN_BOTH
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


def test_a_withdrawal_while_the_service_is_away_counts_and_is_recorded_when_it_is_back(
    browser: Browser, shops: Shops
) -> None:
    with visiting(browser, shops.cascina, complains=True) as visit:
        accepted = accept(visit)
        endpoint = Endpoint(visit, away)
        with visit.page.expect_navigation():
            refuse(visit)
        visit.settle()
        visit.expect_ran()
        assert visit.banner.count() == 0  # it is a choice
        endpoint.recover()
        visit.page.reload()
        assert wait_until(lambda: is_ended(accepted), 30)
        refused = visit.wait_for_choice()["id"]
        assert {each["id"] for each in endpoint.sent} == {refused}  # again and again the same
        assert wait_until(lambda: cookie(visit).count(".") == 4, 30)  # the one that lasts
        assert is_in_force(refused)
        visit.expect_ran()


def test_an_acceptance_whose_answer_was_lost_is_ended_by_the_refusal(
    browser: Browser, shops: Shops
) -> None:
    with visiting(browser, shops.cascina, complains=True) as visit:
        endpoint = Endpoint(visit, lost)
        visit.press("Accept all")
        visit.saved.get_by_text("could not be saved").wait_for()
        visit.expect_ran()
        endpoint.recover()
        refuse(visit)
        visit.saved.get_by_text("Your choice is saved.").wait_for()
        assert is_ended(endpoint.sent[0]["id"])
        visit.expect_ran()


def test_an_acceptance_whose_answer_was_lost_is_ended_by_the_next_page_which_asks(
    browser: Browser, shops: Shops
) -> None:
    with visiting(browser, shops.cascina, complains=True) as visit:
        endpoint = Endpoint(visit, lost)
        visit.press("Accept all")
        visit.saved.get_by_text("could not be saved").wait_for()
        accepted = endpoint.sent[0]["id"]
        endpoint.recover()
        visit.page.reload()
        visit.banner.wait_for()
        assert wait_until(lambda: is_ended(accepted) and not cookie(visit), 30)
        assert visit.banner.count() == 1
        visit.expect_ran()


@IN_BOTH
def test_a_visitor_who_goes_on_before_the_answer_has_accepted_all_the_same(
    browser: Browser, shops: Shops
) -> None:
    with visiting(browser, shops.cascina, complains=True) as visit:
        endpoint = Endpoint(visit, never)
        visit.press("Accept all")
        visit.page.wait_for_function("document.cookie.includes('pc_consent')")
        endpoint.recover()
        visit.page.goto(f"{shops.cascina}/journal")
        visit.expect_ran(*ALL)
        assert is_in_force(visit.wait_for_choice()["id"])


def test_choices_made_while_the_service_is_away_end_each_other_in_any_order(
    browser: Browser, shops: Shops
) -> None:
    with visiting(browser, shops.cascina, complains=True) as visit:
        first = accept(visit)
        endpoint = Endpoint(visit, away)
        with visit.page.expect_navigation():
            refuse(visit)
        visit.settle()
        visit.page.get_by_role("link", name="Cookie choices").click()
        visit.press("Accept all")
        visit.saved.get_by_text("could not be saved").wait_for()
        endpoint.recover()
        refuse(visit)
        visit.saved.get_by_text("Your choice is saved.").wait_for()
        last = visit.wait_for_choice()["id"]
        assert is_in_force(last)
        for each in {first, *(sent["id"] for sent in endpoint.sent)} - {last}:
            assert is_ended(each)


def test_while_a_withdrawal_waits_a_new_page_runs_nothing(browser: Browser, shops: Shops) -> None:
    with visiting(browser, shops.cascina, complains=True) as visit:
        accept(visit)
        other = Visit(visit.page.context.new_page())
        Endpoint(visit, never)
        visit.page.get_by_role("link", name="Cookie choices").click()
        visit.press("Refuse all")
        other.page.goto(f"{shops.cascina}/journal")
        other.settle()
        other.expect_ran()
        assert other.optional == []


@pytest.mark.parametrize("event", [LOOKED_AT_AGAIN, RESTORED], ids=["tab", "back"])
@pytest.mark.parametrize("left", ["refusal", "no cookie"])
def test_a_withdrawal_elsewhere_stops_what_runs_here(
    browser: Browser, shops: Shops, event: str, left: str
) -> None:
    with visiting(browser, shops.cascina, complains=True) as visit:
        accept(visit)
        other = Visit(visit.page.context.new_page())
        other.page.goto(f"{shops.cascina}/journal")
        other.expect_ran(*ALL)
        Endpoint(visit, away)
        with visit.page.expect_navigation():
            refuse(visit)
        if left == "no cookie":
            visit.page.context.clear_cookies(name="pc_consent")
        with other.page.expect_navigation():
            other.page.evaluate(event)
        other.settle()
        other.expect_ran()
        assert other.page.locator("#ran li").all_inner_texts() == [ESSENTIAL]


@IN_BOTH
def test_looking_again_changes_nothing_where_the_browser_keeps_no_cookies(
    browser: Browser, shops: Shops
) -> None:
    with visiting(browser) as visit:
        none = "Object.defineProperty(document, 'cookie', { get: () => '', set() {} })"
        visit.page.add_init_script(none)
        visit.page.goto(shops.cascina)
        accept(visit)
        visit.page.evaluate(LOOKED_AT_AGAIN)
        assert visit.wait_for_choice()["choices"]["advertising"] is True
        visit.expect_ran(*ALL)
