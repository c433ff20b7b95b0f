"""The list of closed requests: the newest first, masked, filtered, by pages."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.catalogue.rules.privacy import Law
from preference_center.core.staff import Role
from preference_center.rights.console import queue
from preference_center.rights.requests.steps import refuse_data_request, withdraw_data_request
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.requests import RefusalGround, RequestKind, RequestState
from tests.clock import Clock
from tests.rights.console.asking import SCRIPT, all_pages, ask
from tests.web.console.staff import staff, words

if TYPE_CHECKING:
    from flask import Flask

PATH = "/console/requests/closed"


def close(app: Flask, request: RightsRequest, state: RequestState) -> RightsRequest:
    with app.app_context():
        if state is RequestState.WITHDRAWN:
            return withdraw_data_request(request.id, "test")
        return refuse_data_request(request.id, RefusalGround.EXCESSIVE, "test")


def test_what_was_closed_last_is_first_with_how_it_ended(app: Flask, clock: Clock) -> None:
    first = ask(app, RequestKind.COMPLAINT)
    second = ask(app, RequestKind.CORRECT, brand="acme", law=Law.LGPD)
    still_open = ask(app, RequestKind.CLOSE)
    close(app, first, RequestState.WITHDRAWN)
    clock.advance(timedelta(days=20))
    close(app, second, RequestState.REFUSED)
    shown = words(staff(app, Role.SUPPORT).get(PATH))
    assert shown.index(second.reference) < shown.index(first.reference)
    assert still_open.reference not in shown
    assert "refused: the requests are excessive" in shown
    assert "withdrawn" in shown
    assert shown.count(" late ") == 1  # fifteen days are given by LGPD


def test_no_address_is_in_the_list_and_none_of_its_words(app: Flask) -> None:  # I12
    close(app, ask(app, RequestKind.COMPLAINT, text=SCRIPT), RequestState.WITHDRAWN)
    answer = staff(app, Role.SUPPORT).get(PATH).get_data(as_text=True)
    assert "a***@e***.com" in answer
    assert "ada@example.com" not in answer.lower()
    assert "alert(1)" not in answer


FILTERS: list[tuple[str, list[str]]] = [
    ("kind=complaint", ["complaint"]),
    ("state=refused", ["correct"]),
    ("kind=complaint&state=refused", []),
    ("kind=nonsense&state=&before=nonsense", ["complaint", "correct"]),
]


@pytest.mark.parametrize("query, expected", FILTERS, ids=[query for query, _ in FILTERS])
def test_the_list_is_filtered(app: Flask, query: str, expected: list[str]) -> None:
    made = {kind: ask(app, kind) for kind in (RequestKind.COMPLAINT, RequestKind.CORRECT)}
    close(app, made[RequestKind.COMPLAINT], RequestState.WITHDRAWN)
    close(app, made[RequestKind.CORRECT], RequestState.REFUSED)
    shown = words(staff(app, Role.SUPPORT).get(f"{PATH}?{query}"))
    assert [kind for kind in sorted(made) if made[kind].reference in shown] == expected
    assert expected or "No closed request is like that" in shown


def test_each_is_on_one_page(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "PAGE", 2)
    made = [ask(app, RequestKind.COMPLAINT, text=str(number)) for number in range(5)]
    for each in made:  # all at the same time: the id decides
        close(app, each, RequestState.WITHDRAWN)
    pages = list(all_pages(staff(app, Role.SUPPORT), f"{PATH}?state=withdrawn"))
    seen = [each.reference for html in pages for each in made if each.reference in html]
    assert len(pages) == 3
    assert sorted(seen) == sorted(each.reference for each in made)
