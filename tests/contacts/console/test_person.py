"""A person's page: whether marketing may be sent and why, and their timeline in words."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from preference_center.contacts import upsert_contacts
from preference_center.contacts.rules.contact import ContactUpdate
from preference_center.core.events import EventKind, Retraction
from preference_center.core.staff import Role
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import PushOutcome, PushResult
from preference_center.ledger import record
from preference_center.ledger.bounces import CountedBounce, insert_bounces
from preference_center.ledger.rules import RequestOrigin
from tests.clock import START
from tests.contacts.console.people import ADA, HOSTILE, open_person, say
from tests.destinations.connected import connect, push
from tests.destinations.tool import Tool
from tests.in_force import put_in_force
from tests.rights.console.asking import ask
from tests.web.console.staff import Staff, staff, words

if TYPE_CHECKING:
    from flask import Flask

    from tests.clock import Clock

OFFERS = "acme.offers"


@pytest.fixture
def support(app: Flask) -> Staff:
    put_in_force(app)
    return staff(app, Role.SUPPORT)


def page_of(who: Staff, query: str = "") -> str:
    return words(who.get(open_person(who) + query))


def test_it_says_per_topic_whether_marketing_may_be_sent_with_rule_and_event(
    app: Flask, support: Staff
) -> None:
    page = page_of(support)
    assert "Offers Acme yes not opted out" in page
    assert "News Acme no needs an opt-in, and there is none" in page
    assert "May service mail be sent? yes" in page
    say(app)
    page = page_of(support)
    assert (
        "Offers Acme no opted out of all marketing, since 24 Nov 2026, 10:00, by phone, entered by"
        " grace" in page
    )
    assert "May marketing be sent? no" in page


def test_an_opt_out_shows_what_each_tool_answered_and_when(
    app: Flask, clock: Clock, support: Staff
) -> None:
    hubspot = connect(app, "hubspot", {OFFERS})
    connect(app, "mailer", {OFFERS}, status="paused")
    connect(app, "unconcerned", set())
    say(app, occurred_at=START - timedelta(hours=2))
    clock.advance(timedelta(minutes=3))
    assert "hubspot: pending; due by 27 Nov 2026, 10:00" in page_of(support)
    push(app, hubspot, Tool())
    page = page_of(support)
    assert "hubspot: confirmed, 24 Nov 2026, 10:03 200" in page
    assert "mailer: waits, since the destination is paused; due by 27 Nov 2026, 10:00" in page
    assert "unconcerned:" not in page
    assert "Said on 24 Nov 2026, 08:00" in page
    assert "Counts from 24 Nov 2026, 08:15" in page  # I5
    clock.advance(timedelta(hours=73))
    late = words(staff(app, Role.SUPPORT).get(open_person(staff(app, Role.SUPPORT))))
    assert "late, it was due by 27 Nov 2026, 10:00" in late


def test_a_refusal_and_an_overtaken_opt_out_are_shown(
    app: Flask, clock: Clock, support: Staff
) -> None:
    number = connect(app, "hubspot", {OFFERS})
    say(app, scope=OFFERS)
    tool = Tool(before=lambda batch: {batch[0].ref: PushOutcome(PushResult.REFUSED, HOSTILE)})
    push(app, number, tool)
    answer = support.get(open_person(support))
    assert "hubspot: refused; tried again every day; due by" in words(answer)
    assert f"Pushed to hubspot: refused Answer {HOSTILE}" in words(answer)
    assert HOSTILE not in answer.get_data(as_text=True)
    clock.advance(timedelta(days=2))
    say(app, EventKind.OPTED_IN, OFFERS)
    push(app, number, Tool())
    page = page_of(staff(app, Role.SUPPORT))
    assert "Opted in: Offers (Acme)" in page
    assert "overtaken by a newer entry" in page


def test_a_retracted_event_is_marked(app: Flask, support: Staff) -> None:
    event = say(app)
    with app.app_context():
        record([Retraction(services().new_id(), (event,), START, "cli", "cli:grace")])
    page = page_of(support)
    assert "Opted out: all marketing retracted" in page
    assert "Earlier entries retracted: all marketing" in page


def test_bounces_that_count_and_data_subject_requests_are_entries(
    app: Flask, support: Staff
) -> None:
    with app.app_context():
        bounce = CountedBounce(UUID(int=1), services().keys.exact_digest(ADA), "4.2.2", START)
        run_in_transaction(lambda c: insert_bounces(c, [bounce], START - timedelta(days=1)))
    request = ask(app)
    page = page_of(support)
    assert "A message could not be delivered for now Code: 4.2.2" in page.replace("Code ", "Code: ")
    assert "Data-subject request: Correction" in page
    assert request.reference in page


def test_filters_leave_one_tool_one_topic_or_one_day(
    app: Flask, clock: Clock, support: Staff
) -> None:
    for name, sends in (("hubspot", {OFFERS}), ("mailer", {"acme.news"})):
        connect(app, name, sends)
    say(app, scope=OFFERS)
    clock.advance(timedelta(days=1))
    say(app, scope="acme.news")
    who = staff(app, Role.SUPPORT)
    path = open_person(who)

    def timeline(query: str) -> str:
        return words(who.get(path + query)).partition("Timeline")[2]

    assert "Opted out: Offers" in timeline("?tool=hubspot")
    assert "Opted out: News" not in timeline("?tool=hubspot")
    assert "Looked up" not in timeline("?tool=hubspot")
    assert "Opted out: News" in timeline("?topic=acme.news")
    assert "Opted out: Offers" not in timeline("?topic=acme.news")
    assert "Opted out: Offers" in timeline("?day=2026-11-24")
    assert "Opted out: News" not in timeline("?day=2026-11-24")
    assert "Nothing is recorded here" in timeline("?day=2026-11-23")
    assert who.get(f"{path}?day=tuesday").status_code == 404
    assert who.get(f"{path}?before=1-2").status_code == 404


def test_pages_of_a_long_timeline_show_each_entry_once(app: Flask, support: Staff) -> None:
    events = [say(app, scope=OFFERS, evidence={"note": f"n{number}"}) for number in range(60)]
    path, seen = open_person(support), []
    next_path = path
    while next_path:
        html = support.get(next_path).get_data(as_text=True)
        seen += [number for number in range(len(events)) if f">n{number}<" in html]
        start = html.find('rel="next"')
        link = html[html.rfind('href="', 0, start) + 6 : start] if start > 0 else ""
        next_path = link.partition('"')[0].replace("&amp;", "&")
    assert sorted(seen) == list(range(60))
    assert sorted(seen[:50]) == list(range(10, 60))


def test_whatever_strangers_filled_is_shown_as_text(app: Flask, support: Staff) -> None:
    with app.app_context():
        origin = RequestOrigin("test", "test", START)
        upsert_contacts([ContactUpdate(HOSTILE, None, (ADA,))], origin)
    say(app, source=HOSTILE, actor=f"key:{HOSTILE}", evidence={"message_id": HOSTILE, HOSTILE: "1"})
    say(app, source="destination", actor=HOSTILE, evidence={"campaign": HOSTILE})
    say(app, scope=HOSTILE, evidence={"via": HOSTILE})
    say(app, actor=f"console:{HOSTILE}", evidence={"method": "one_click", "wording": HOSTILE})
    html = support.get(open_person(support)).get_data(as_text=True)
    assert HOSTILE not in html
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 10
