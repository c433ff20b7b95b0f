"""The consent tool on a site whose preference center really is away, silent or endlessly slow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from dev.processes import wait_until
from preference_center.cookies.store import find_consent
from preference_center.infra.db.transactions import run_autocommit
from tests.browser.both import IN_BOTH
from tests.browser.failing import Fault, Front, front_of
from tests.browser.shops import ALL, ESSENTIAL, Shops, Visit, shops_of, visiting

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from dev.demo.states import Demo


FAULTS = [Fault.CLOSED, Fault.SILENT, Fault.DRIPPING]
LATER = 30
"""Seconds of an answer that comes so late."""


@pytest.fixture(scope="module")
def front(demo: Demo) -> Iterator[Front]:
    with front_of(urlsplit(demo.site).port or 0) as front:
        yield front


@pytest.fixture(scope="module")
def shops(demo: Demo, front: Front) -> Iterator[Shops]:
    """Shops that reach the service through `front` alone, as do their visitors."""
    from dev.maintenance.screenshots import on_port
    from dev.shops import create_app

    given = shops_of(demo)
    with on_port(create_app(front.url, timeout=5)) as port:
        text = given.catalogue.replace(f":{given.port}", f":{port}")
        shops = replace(given, port=port, service=front.url, catalogue=text)
        shops.put_in_force(text)
        yield shops


@pytest.fixture(autouse=True)
def repaired(front: Front) -> Iterator[None]:
    yield
    front.fail(Fault.NONE)


def is_ended(consent_id: str) -> bool:
    found = run_autocommit(lambda connection: find_consent(connection, UUID(hex=consent_id)))
    return found is not None and found.is_superseded


def assert_works_without_anything_optional(visit: Visit) -> None:
    assert visit.page.locator("#ran li").all_inner_texts() == [ESSENTIAL]
    assert visit.optional == []


def come_back(visit: Visit, shops: Shops, front: Front) -> None:
    """The service answers again, and the person opens the shop once more.

    Only after the page is loaded: Firefox may give the navigation another id than it announced if
    it interrupts one, and Playwright takes that for a navigation of somebody else.
    """
    front.fail(Fault.NONE)
    visit.page.wait_for_load_state()
    visit.page.goto(shops.cascina)


@IN_BOTH
@pytest.mark.parametrize("fault", FAULTS)
def test_a_withdrawal_counts_at_once_and_is_sent_again(
    browser: Browser, shops: Shops, front: Front, fault: Fault
) -> None:  # I1, I11
    with visiting(browser, shops.cascina, complains=True) as visit:
        visit.press("Accept all")
        visit.expect_ran(*ALL)
        accepted = visit.wait_for_choice()["id"]
        front.fail(fault)
        visit.page.get_by_role("link", name="Cookie choices").click()
        with visit.page.expect_navigation(wait_until="domcontentloaded"):
            visit.press("Refuse all")
        visit.requests.clear()
        visit.page.get_by_role("link", name="Journal").click()
        visit.page.get_by_role("heading", name="Journal").wait_for()
        assert_works_without_anything_optional(visit)
        assert not is_ended(accepted)
        come_back(visit, shops, front)
        assert wait_until(lambda: is_ended(accepted), 60)
        assert_works_without_anything_optional(visit)


@IN_BOTH
@pytest.mark.parametrize("fault", FAULTS)
def test_a_first_visit_waits_for_nothing_and_is_asked_once_the_service_is_back(
    browser: Browser, shops: Shops, front: Front, fault: Fault
) -> None:  # I11
    with visiting(browser, complains=True) as visit:
        front.fail(fault)
        begun = monotonic()
        visit.page.goto(shops.cascina, wait_until="domcontentloaded")
        visit.page.get_by_role("link", name="Journal").click()
        visit.page.get_by_role("heading", name="Journal").wait_for()
        assert monotonic() - begun < LATER
        assert_works_without_anything_optional(visit)
        come_back(visit, shops, front)
        visit.banner.wait_for()
        assert_works_without_anything_optional(visit)
