from __future__ import annotations

import json
from typing import Any

import pytest

from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.mailjet import MailjetWebhookSource
from tests.integrations.base.posts import ANNA, AT, NOW


def event(name: str, **more: Any) -> dict[str, Any]:
    return {"event": name, "time": AT, "MessageID": 288230376151, "email": ANNA} | more


def parse(*rows: dict[str, Any]) -> list[VendorEvent]:
    return list(MailjetWebhookSource().parse(json.dumps(rows).encode()))


@pytest.mark.parametrize(
    "row, kind, target",
    [
        (event("unsub", mj_list_id=10215), VendorEventKind.OPTED_OUT, "10215"),
        (event("unsub", mj_list_id=0), VendorEventKind.OPTED_OUT, None),
        (event("unsub", mj_list_id=""), VendorEventKind.OPTED_OUT, None),
        (event("unsub"), VendorEventKind.OPTED_OUT, None),
        (event("spam", source="JMRPP", mj_list_id=10215), VendorEventKind.COMPLAINED, None),
    ],
    ids=["of a list", "of list 0", "of an empty list", "of no list", "complaint"],
)
def test_what_people_say(row: dict[str, Any], kind: VendorEventKind, target: str | None) -> None:
    act = f"288230376151 {row['event']} {AT}"
    assert parse(row) == [VendorEvent(kind, ANNA, target, NOW, act, by_person=True)]


def test_one_event_comes_alone_where_they_are_not_grouped() -> None:
    alone = MailjetWebhookSource().parse(json.dumps(event("unsub")).encode())
    assert list(alone) == parse(event("unsub"))


@pytest.mark.parametrize(
    "error, status, permanent",
    [
        ("user unknown", "5.1.1", True),
        ("invalid domain", "5.1.2", True),
        ("mailbox inactive", "5.2.1", True),
        ("content blocked", "", None),
        ("a new one", "", None),
    ],
)
def test_a_hard_bounce_is_for_good_only_if_it_is_the_addresss_fault(
    error: str, status: str, *, permanent: bool | None
) -> None:
    (vendor_event,) = parse(event("bounce", hard_bounce=True, error=error))
    assert vendor_event.kind is VendorEventKind.BOUNCED
    assert not vendor_event.by_person
    assert vendor_event.bounce == Bounce(status, diagnostic=error, permanent=permanent)


def test_the_servers_words_are_reported_where_mailjet_has_them() -> None:
    text = "550 5.7.1 Message refused by policy"
    (vendor_event,) = parse(event("bounce", hard_bounce=False, error="policy issue", comment=text))
    assert vendor_event.bounce == Bounce("5.7.1", diagnostic=text, permanent=False)


@pytest.mark.parametrize(
    "name, error",
    [
        ("bounce", "greylisted"),  # it is tried again
        ("blocked", "duplicate in campaign"),
        ("blocked", "preblocked"),
        ("blocked", "content blocked"),
        ("blocked", ""),
    ],
)
def test_what_means_nothing_about_the_person_does_nothing(name: str, error: str) -> None:
    assert parse(event(name, error=error), event("sent"), event("open"), event("click")) == []


def test_a_mail_that_was_blocked_counts_for_its_reason() -> None:
    complained, gone = parse(
        event("blocked", error="spam reporter"), event("blocked", error="user unknown")
    )
    assert (complained.kind, complained.by_person) == (VendorEventKind.COMPLAINED, False)
    assert gone.bounce == Bounce("5.1.1", diagnostic="user unknown", permanent=True)


def test_what_cannot_be_understood_is_kept_for_a_person() -> None:
    found = parse(event("blocked", error="blacklisted"), event("consent"), event("unsub", email=""))
    assert [vendor_event.target for vendor_event in found] == [
        "blocked blacklisted",
        "consent",
        "opted_out without address",
    ]
    with pytest.raises(InvalidInput):
        parse({"time": AT})


def test_a_mail_received_is_read_as_a_reply() -> None:
    row = {
        "Sender": "bounce+anna@example.org",
        "Recipient": "stop@replies.example.com",
        "From": f"Anna <{ANNA}>",
        "Subject": "Re: News",
        "Headers": {
            "From": f"Anna <{ANNA}>",
            "Subject": "Re: News",
            "Received": ["from a", "from b"],
            "Auto-Submitted": ["auto-replied"],
            "Content-Type": ['multipart/alternative; boundary="b"'],
        },
        "Text-part": "stop",
        "Html-part": "<p>stop</p>",
    }
    body = json.dumps(row).encode()
    assert MailjetWebhookSource().parse(body) == []
    (mail,) = MailjetWebhookSource().parse_mails(body)
    assert (mail.sender, mail.recipients) == (row["Sender"], ["stop@replies.example.com"])
    assert mail.content.count(b"From: Anna") == mail.content.count(b"Subject: ") == 1
    assert mail.content.count(b"Received: ") == 2
    assert b"Auto-Submitted: auto-replied" in mail.content
    assert b'boundary="b"' not in mail.content
