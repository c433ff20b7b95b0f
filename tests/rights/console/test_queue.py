"""The queue: worst first, masked, filtered, and bounded."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.catalogue.rules.privacy import Law
from preference_center.core.staff import Role
from preference_center.rights.console import queue
from preference_center.rights.rules.requests import RequestKind
from tests.clock import Clock
from tests.rights.console.asking import SCRIPT, all_pages, ask
from tests.web.console.staff import staff, words

if TYPE_CHECKING:
    from flask import Flask

DAY = timedelta(days=1)


def in_order(text: str, *parts: str) -> bool:
    places = [text.index(part) for part in parts]
    return places == sorted(places)


def test_requests_are_listed_by_deadline_with_their_clock_in_words(
    app: Flask, clock: Clock
) -> None:
    stopped = ask(app, RequestKind.ACCESS, identity_asked=True)
    month = ask(app, RequestKind.CORRECT)
    days = ask(app, RequestKind.CLOSE, law=Law.LGPD)
    clock.advance(14 * DAY)
    shown = words(staff(app, Role.SUPPORT).get("/console/requests"))
    assert in_order(shown, days.reference, month.reference, stopped.reference)
    assert "due in 24 hours, by law on 9 Dec 2026" in shown
    assert "due in 16 days, by law on 24 Dec 2026" in shown
    assert "clock stopped since 24 Nov 2026, 30 days left" in shown
    assert "1 due soon 1 past the target" in shown
    clock.advance(3 * DAY)
    late = words(staff(app, Role.SUPPORT).get("/console/requests?stage=overdue"))
    assert "2 days late, by law due on 9 Dec 2026" in late
    assert month.reference not in late


def test_no_address_is_in_the_list_and_none_of_its_words(app: Flask) -> None:  # I12
    ask(app, RequestKind.COMPLAINT, text=f"I am Ada Lovelace {SCRIPT}")
    answer = staff(app, Role.COMPLIANCE).get("/console/requests").get_data(as_text=True)
    assert "a***@e***.com" in answer
    assert "ada@example.com" not in answer.lower()
    assert "Lovelace" not in answer


FILTERS: list[tuple[str, list[str]]] = [
    ("kind=close", ["close"]),
    ("law=lgpd", ["close"]),
    ("stage=stopped", ["access"]),
    ("brand=acme", ["correct"]),
    ("kind=close&law=gdpr", []),
    ("kind=nonsense&stage=on_time", ["close", "correct"]),
]


def test_the_list_is_filtered(app: Flask) -> None:
    made = {
        "access": ask(app, RequestKind.ACCESS, identity_asked=True),
        "correct": ask(app, RequestKind.CORRECT, brand="acme"),
        "close": ask(app, RequestKind.CLOSE, law=Law.LGPD),
    }
    grace = staff(app, Role.SUPPORT)
    for query, expected in FILTERS:
        shown = words(grace.get(f"/console/requests?{query}"))
        assert [kind for kind in sorted(made) if made[kind].reference in shown] == expected


def test_older_pages_continue_by_key(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "PAGE", 2)
    made = [ask(app, RequestKind.COMPLAINT, text=str(number)) for number in range(5)]
    pages = list(all_pages(staff(app, Role.SUPPORT), "/console/requests"))
    seen = [each.reference for html in pages for each in made if each.reference in html]
    assert len(pages) == 3
    assert sorted(seen) == sorted(each.reference for each in made)


def test_a_request_is_found_by_its_reference_also_once_it_is_closed(app: Flask) -> None:
    done = ask(app, RequestKind.OBJECT)
    ada = staff(app, Role.SUPPORT)
    typed = done.reference.lower().replace("-", " ")
    found = ada.post("/console/requests/find", reference=typed)
    assert found.headers["Location"].endswith(f"/console/requests/{done.id}")
    for unknown in ("06H0-SJ4E-G1WH-34VF", "nonsense"):
        missing = ada.post("/console/requests/find", reference=unknown)
        assert missing.status_code == 404
        assert "No request has this reference" in words(missing)


def test_reports_of_minors_have_a_list_of_their_own(app: Flask) -> None:
    from preference_center.rights.requests import minors

    report = ask(app, RequestKind.MINOR)
    with app.app_context():
        minors.contradict(report.id)
    ada = staff(app, Role.SUPPORT)
    assert report.reference not in words(ada.get("/console/requests"))
    shown = words(ada.get("/console/requests/minors"))
    assert report.reference in shown
    assert "due in 3 days" in shown
    assert "the holder says it is wrong" in shown


def test_an_empty_queue_says_where_requests_come_from(app: Flask) -> None:
    assert "No request is open" in words(staff(app, Role.SUPPORT).get("/console/requests"))
