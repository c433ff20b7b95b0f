"""The consent tool while the service answers half a minute late: the page is not held up."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from dev.processes import wait_until
from tests.browser.both import IN_BOTH
from tests.browser.endpoints import Endpoint, cookie, is_ended, is_in_force, stored
from tests.browser.shops import Shops, Visit, page_with, shops_of, visiting

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

    from dev.demo.states import Demo

LATE = 30_000
"""Milliseconds until the service answers; the clock of the page is moved."""
GIVEN_UP, SENT_AGAIN = 6_000, 61_000
"""Milliseconds after which consent.js stops waiting, and after which it sends the choice again."""


@pytest.fixture(scope="module")
def shops(demo: Demo) -> Shops:
    return shops_of(demo)


class Held:
    """Requests that are not answered until they are released."""

    def __init__(self) -> None:
        self.routes: list[Route] = []

    def __call__(self, route: Route) -> None:
        self.routes.append(route)

    def wait(self, visit: Visit, number: int = 1) -> None:
        end = monotonic() + 30
        while len(self.routes) < number:
            assert monotonic() < end
            visit.page.wait_for_timeout(10)

    def release(self) -> None:
        while self.routes:
            self.routes.pop().continue_()


def deliver(route: Route) -> int:
    """Let the service have what the page has given up: its status; the answer sets no cookie."""
    sent = route.request
    headers = {name: value for name, value in sent.headers.items() if name != "content-length"}
    request = Request(sent.url, (sent.post_data or "").encode(), headers)
    try:
        with urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


@IN_BOTH
def test_a_late_script_and_configuration_hold_nothing_up_and_the_choice_is_sent_once(
    browser: Browser, shops: Shops
) -> None:  # I11
    with visiting(browser) as visit:
        visit.page.clock.install()
        script, config = Held(), Held()
        visit.page.route("**/consent.js", script)
        visit.page.route("**/config.json*", config)
        visit.page.route("**/later.js", lambda route: route.fulfill(body="window.later = true"))
        page = page_with(body='<script src="/later.js" defer></script><a href="#end">End</a>')
        visit.open_page(shops, page, wait_until="domcontentloaded", timeout=10_000)
        assert visit.page.evaluate("later")
        visit.page.get_by_role("link", name="End").click()
        script.wait(visit)
        visit.page.clock.fast_forward(LATE)
        script.release()
        config.wait(visit)
        assert visit.page.evaluate("preferenceCenter.consent.get()") is None
        visit.page.clock.fast_forward(LATE)
        config.release()
        endpoint = Endpoint(visit, lambda route: route.continue_())
        visit.press("Accept all")
        visit.saved.get_by_text("Your choice is saved.").wait_for()
        assert len(endpoint.sent) == 1
        assert is_in_force(visit.wait_for_choice()["id"])


def press_and_hold(visit: Visit, shops: Shops, button: str) -> tuple[Endpoint, Held]:
    """On a page whose clock the test moves; the first request for the choice is not answered."""
    visit.page.clock.install()
    visit.page.goto(shops.cascina)
    held = Held()
    endpoint = Endpoint(visit, held)
    visit.press(button)
    held.wait(visit)
    return endpoint, held


def test_a_refusal_that_is_answered_late_counts_at_once_and_is_recorded_once(
    browser: Browser, shops: Shops
) -> None:
    with visiting(browser, complains=True) as visit:
        endpoint, held = press_and_hold(visit, shops, "Refuse all")
        visit.expect_ran()
        assert visit.banner.count() == 0
        visit.page.clock.fast_forward(GIVEN_UP)
        visit.saved.get_by_text("Your choice is saved.").wait_for()
        assert deliver(held.routes.pop()) == 201
        refused = endpoint.sent[0]["id"]
        assert is_in_force(refused)
        visit.page.clock.fast_forward(SENT_AGAIN)
        held.wait(visit)
        held.release()
        assert wait_until(lambda: cookie(visit).count(".") == 4, 30)  # the one that lasts
        assert [each["id"] for each in endpoint.sent] == [refused, refused]
        assert is_in_force(refused)


def test_an_acceptance_that_is_answered_late_is_sent_once_and_ended_as_the_page_says(
    browser: Browser, shops: Shops
) -> None:
    with visiting(browser, complains=True) as visit:
        endpoint, held = press_and_hold(visit, shops, "Accept all")
        visit.page.clock.fast_forward(GIVEN_UP)
        visit.saved.get_by_text("could not be saved").wait_for()
        visit.expect_ran()
        held.wait(visit, 2)  # what ends the acceptance goes out before the service has it
        accepted, unsaved = held.routes
        unsaved.continue_()
        assert wait_until(lambda: stored(endpoint.sent[1]["id"]) is not None, 30)
        assert deliver(accepted) == 410  # it was ended before
        assert is_ended(endpoint.sent[0]["id"])
        assert [each["method"] for each in endpoint.sent] == ["accept", "unsaved"]
