"""The shop's endpoint for choices, as slow or broken as a test wants it, and what is on record."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

from preference_center.cookies.store import StoredConsent, find_consent
from preference_center.infra.db.transactions import run_autocommit
from tests.browser.shops import ALL, Visit

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Route


def stored(consent_id: str) -> StoredConsent | None:
    return run_autocommit(lambda connection: find_consent(connection, UUID(hex=consent_id)))


def is_ended(consent_id: str) -> bool:
    found = stored(consent_id)
    return found is not None and found.is_superseded


def is_in_force(consent_id: str) -> bool:
    found = stored(consent_id)
    return found is not None and not found.is_superseded


class Endpoint:
    """The site's endpoint, as `answer` has it; and the choices that were sent to it."""

    def __init__(self, visit: Visit, answer: Callable[[Route], None]) -> None:
        self.sent: list[dict[str, Any]] = []
        self._visit = visit

        def note(route: Route) -> None:
            if route.request.method != "POST":
                route.fallback()
                return
            self.sent.append(json.loads(route.request.post_data or "{}"))
            answer(route)

        self._note = note
        visit.page.context.route("**/consent", note)

    def recover(self) -> None:
        self._visit.page.context.unroute("**/consent", self._note)


def away(route: Route) -> None:
    route.fulfill(status=503)


def lost(route: Route) -> None:
    """It is recorded, and the answer comes too late."""
    from playwright.sync_api import Error

    route.fetch()
    with suppress(Error):  # the page has gone on
        route.fulfill(status=503)


def never(_: Route) -> None:
    """No answer."""


def accept(visit: Visit) -> str:
    """The id of the acceptance, on record."""
    visit.press("Accept all")
    visit.expect_ran(*ALL)
    consent_id: str = visit.wait_for_choice()["id"]
    return consent_id


def refuse(visit: Visit) -> None:
    visit.page.get_by_role("link", name="Cookie choices").click()
    visit.press("Refuse all")


def cookie(visit: Visit) -> str:
    found = [each["value"] for each in visit.page.context.cookies() if each["name"] == "pc_consent"]
    return "".join(found)
