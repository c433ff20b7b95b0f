"""Support decides on what was not certain; what strangers wrote is shown as text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.staff import AccessAction, Role, StaffAccess
from preference_center.inbound.store import ReviewItem, insert_item
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.integration import to_mail
from preference_center.integrations.base.vendor_events import TextMessage
from preference_center.web.console.looks import list_person_accesses
from tests.clock import START
from tests.destinations.ingest.test_undecided import mail_of_a_stranger, unmapped, unreadable
from tests.destinations.steps import TOPIC
from tests.destinations.two_way_tool import add_destination
from tests.inbound.rules.reports import reply
from tests.ledger.tables import Ledger
from tests.web.console.staff import Staff, staff, words

if TYPE_CHECKING:
    from flask import Flask

JANE = "jane.doe@example.com"

pytestmark = pytest.mark.usefixtures("in_context")


@pytest.fixture
def grace(app: Flask) -> Staff:
    return staff(app, Role.SUPPORT)


@pytest.fixture
def ledger(app: Flask, database_url: str) -> Ledger:
    return Ledger(database_url)


def arrive(mail: bytes, mailbox: str = "replies") -> str:
    """A mail waits for a decision; the path of its page."""
    context = services()
    item = ReviewItem(context.new_id(), mailbox, "unclear", len(mail), START)
    run_in_transaction(lambda c: insert_item(c, context.keys, item, mail, mail))
    return f"/console/review/mails/{item.id}"


def audit(action: str) -> list[Any]:
    query = "SELECT actor, detail FROM audit WHERE action = %s"
    return run_in_transaction(lambda c: c.execute(query, (action,)).fetchall())


def test_a_mail_is_read_as_text_and_recorded_as_of_when_it_was_received(
    grace: Staff, ledger: Ledger
) -> None:
    path = arrive(reply("No offers please, <script>alert(1)</script> I moved"))
    page = grace.get(path)
    html = page.get_data(as_text=True)
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; I moved" in html
    assert f">{JANE}</textarea>" in html
    assert JANE not in path

    done = grace.post(
        f"{path}/decide",
        addresses=f"{JANE}\r\n",
        meaning="opted-out",
        scope="acme.offers",
        decision="record",
    )
    assert done.headers["Location"] == "/console/review?done=item"
    (event,) = ledger.events()
    assert (event["kind"], event["scope"], event["actor"]) == (
        "opted_out",
        "acme.offers",
        "console:grace",
    )
    assert event["received_at"] == START  # I3
    assert grace.get(path).status_code == 404


def looks_at_jane() -> list[StaffAccess]:
    jane = parse_address(JANE, Channel.EMAIL)
    return run_in_transaction(lambda c: list_person_accesses(c, services().keys, jane))


def test_reading_a_mail_is_shown_to_its_sender(grace: Staff) -> None:
    grace.get(arrive(reply("Where is my order")))
    assert [(look.actor, look.action) for look in looks_at_jane()] == [
        ("console:grace", AccessAction.MAIL_REVIEWED)
    ]


def test_a_wrong_form_shows_no_mail_without_a_record_of_it(grace: Staff) -> None:
    path = arrive(reply("Where is my order"))
    answer = grace.post(f"{path}/decide", meaning="perhaps")
    assert "Where is my order" in words(answer)
    assert len(looks_at_jane()) == 1


def test_reading_a_mail_of_no_one_sender_is_in_the_audit(grace: Staff) -> None:
    mail = reply("Where is my order").replace(JANE.encode(), b"nobody")
    assert "Where is my order" in words(grace.get(arrive(mail)))
    assert [actor for actor, _detail in audit("mail_reviewed")] == ["console:grace"]


def test_who_read_a_mail_can_not_open_its_senders_page_by_that(grace: Staff) -> None:
    grace.get(arrive(reply("Where is my order")))
    (look,) = looks_at_jane()
    assert grace.get(f"/console/people/{look.id}").status_code == 410
    assert str(look.id) not in grace.get("/console/people").get_data(as_text=True)


@pytest.mark.parametrize(
    "fields",
    [
        {"addresses": "nobody at all", "meaning": "opted-out", "scope": "all_marketing"},
        {"addresses": " ", "meaning": "opted-out", "scope": "all_marketing"},
        {"addresses": JANE, "meaning": "perhaps", "scope": "all_marketing"},
        {"addresses": JANE, "meaning": "opted-out", "scope": "acme.nothing"},
    ],
)
def test_what_can_not_be_recorded_stays_in_the_form_and_says_why(
    fields: dict[str, str], grace: Staff, ledger: Ledger
) -> None:
    path = arrive(reply("Where is my order"))
    shown = grace.post(f"{path}/decide", decision="record", **fields)
    assert shown.status_code == 422
    html = shown.get_data(as_text=True)
    assert 'role="alert"' in html
    assert f">{fields['addresses']}</textarea>" in html
    assert ledger.events() == []
    assert grace.get(path).status_code == 200


def test_a_mail_that_needs_no_action_is_deleted(grace: Staff, ledger: Ledger) -> None:
    path = arrive(reply("Where is my order"))
    grace.post(f"{path}/decide", decision="dismiss")
    assert "None: every reply and report" in words(grace.get("/console/review"))
    assert ledger.events() == []
    assert grace.post(f"{path}/decide", decision="dismiss").status_code == 404


def test_the_audit_names_who_decided(grace: Staff) -> None:
    path = arrive(reply("Where is my order"))
    grace.post(f"{path}/decide", decision="dismiss")
    ((actor, detail),) = audit("review_item.resolved")
    assert (actor, detail["outcome"]) == ("console:grace", "dismissed")


def test_a_text_is_shown_with_its_number(grace: Staff, ledger: Ledger) -> None:
    head = to_mail(TextMessage("+393471234567", frozenset({"+39051000000"}), "basta", "1", None))
    path = arrive(head, "sms")
    assert ">+393471234567</textarea>" in grace.get(path).get_data(as_text=True)
    grace.post(
        f"{path}/decide", addresses="347 1234567", meaning="opted-out", scope="all_marketing"
    )
    assert [event["kind"] for event in ledger.events()] == ["opted_out"]


@pytest.mark.parametrize("decision", ["discard", "ignore"])
def test_a_vendor_event_is_decided_with_a_reason_in_the_audit(grace: Staff, decision: str) -> None:
    unmapped(add_destination("mailer", TOPIC))
    page = grace.get("/console/review").get_data(as_text=True)
    (path,) = re.findall(r"/console/review/events/[0-9a-f-]{36}/decide", page)
    given = {"destination": "mailer", "question": "target 4711", "decision": decision}
    assert "Give a reason" in words(grace.get(grace.post(path, **given).headers["Location"]))
    named = grace.post(path, **given, reason="jane.doe@example.com has no account")
    assert named.headers["Location"].endswith("done=no-reason")  # I12
    grace.post(path, **given, reason="the shop's own list")
    assert "everything that tools posted was understood" in words(grace.get("/console/review"))
    name = "vendor_event.discarded" if decision == "discard" else "vendor_event.ignored"
    ((actor, detail),) = audit(name)
    assert (actor, detail["reason"]) == ("console:grace", "the shop's own list")


def test_what_can_not_be_read_is_never_ignored_for_good(grace: Staff) -> None:  # I3
    unreadable(add_destination("mailer", TOPIC))
    page = grace.get("/console/review").get_data(as_text=True)
    assert "Never ask this again" not in page
    (path,) = re.findall(r"/console/review/events/[0-9a-f-]{36}/decide", page)
    given = {"destination": "mailer", "question": "unreadable", "decision": "ignore"}
    assert grace.post(path, **given, reason="noise").status_code == 404
    assert grace.post("/console/review/events/retry").status_code == 303
    assert audit("vendor_event.retried") == [("console:grace", {"events": "1"})]


def test_only_a_question_that_somebody_could_see_is_ignored_for_good(grace: Staff) -> None:  # I3
    unmapped(add_destination("mailer", TOPIC))
    page = grace.get("/console/review").get_data(as_text=True)
    (path,) = re.findall(r"/console/review/events/[0-9a-f-]{36}/decide", page)
    given = {"destination": "mailer", "question": "target 4712", "decision": "ignore"}
    assert grace.post(path, **given, reason="noise").status_code == 404
    assert audit("vendor_event.ignored") == []
    ignored = "SELECT count(*) FROM ignored_question"
    assert run_in_transaction(lambda c: c.execute(ignored).fetchone()) == (0,)


def test_an_opt_out_without_an_address_is_dismissed_with_a_reason(grace: Staff) -> None:
    mail_of_a_stranger(0)
    page = grace.get("/console/review").get_data(as_text=True)
    (path,) = re.findall(r"/console/review/pending/[0-9a-f-]{36}/dismiss", page)
    for reason in ("", "it is jane.doe@example.com", "x" * 201):  # I12
        refused = grace.post(path, reason=reason).headers["Location"]
        assert "Give a reason" in words(grace.get(refused))
    assert audit("pending_opt_out.dismissed") == []
    grace.post(path, reason="the sender has no record of it")
    assert len(audit("pending_opt_out.dismissed")) == 1
    assert path not in grace.get("/console/review").get_data(as_text=True)
    assert grace.post(path, reason="again").status_code == 404
