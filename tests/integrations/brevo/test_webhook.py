from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from preference_center.domain.addresses import Channel
from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.vendor_events import ALL_SMS, News, NewsKind
from preference_center.integrations.brevo.webhook import BrevoNews
from tests.integrations.base.posts import ANNA, AT, NOW


def parse(*events: dict[str, Any]) -> list[News]:
    more = {"id": 7, "email": ANNA, "date": "2026-11-25 13:00:00", "ts": AT + 3600}
    return list(BrevoNews().parse(json.dumps([more | event for event in events]).encode()))


@pytest.mark.parametrize(
    "event, kind",
    [
        ("unsubscribe", NewsKind.OPTED_OUT),
        ("unsubscribed", NewsKind.OPTED_OUT),
        ("spam", NewsKind.COMPLAINED),
        ("complaint", NewsKind.COMPLAINED),
        ("contact_updated", NewsKind.SEEN),
        ("delivered", None),
        ("unique_opened", None),
        ("contact_deleted", None),
        ("blocked", None),
    ],
)
def test_what_it_says(event: str, kind: NewsKind | None) -> None:
    found = parse({"event": event, "ts_event": AT, "list_id": [3, 42], "camp_id": 8})
    by_person = kind is not NewsKind.SEEN
    assert found == ([News(kind, ANNA, at=NOW, by_person=by_person)] if kind else [])


@pytest.mark.parametrize(
    "event, permanent",
    [
        ("hard_bounce", True),
        ("hard_bounced", True),
        ("invalid_email", True),
        ("soft_bounce", False),
        ("soft_bounced", False),
    ],
)
def test_a_bounce_is_told_with_its_reason(event: str, *, permanent: bool) -> None:
    said = "550 5.1.1 User unknown"
    (news,) = parse({"event": event, "reason": said, "ts_epoch": AT * 1000})
    bounce = Bounce(text=said, permanent=permanent)
    assert news == News(NewsKind.BOUNCED, ANNA, at=NOW, bounce=bounce)


def test_who_joins_lists_is_told_for_each() -> None:
    found = parse({"event": "list_addition", "list_id": [3, 42]})
    assert found == [News(NewsKind.RESUBSCRIBED, ANNA, thing) for thing in ("3", "42")]


def test_several_at_once_are_each_told() -> None:
    found = parse({"event": "unsubscribed", "ts_epoch": AT}, {"event": "new"}, {"event": "click"})
    assert [(news.kind, news.at) for news in found] == [
        (NewsKind.OPTED_OUT, NOW),
        (NewsKind.UNKNOWN, None),
    ]


def test_a_no_of_nobody_is_kept_for_a_person() -> None:
    found = BrevoNews().parse(b'[{"event": "unsubscribe"}, {"event": "contact_updated"}]')
    assert found == [News(NewsKind.UNKNOWN, "", "opted_out without address")]


@pytest.mark.parametrize(
    "wrap",
    [lambda rows: rows, lambda rows: {"events": rows}, lambda rows: [{"items": rows}]],
    ids=["array", "object", "array-of-object"],
)
def test_a_batch_is_read_however_it_is_wrapped(wrap: Callable[[Any], Any]) -> None:
    rows = [{"event": "unsubscribed", "email": f"p{n}@example.com", "ts": AT} for n in range(500)]
    found = BrevoNews().parse(json.dumps(wrap(rows)).encode())
    assert [news.address for news in found] == [row["email"] for row in rows]


@pytest.mark.parametrize(
    "status, kind",
    [
        ("unsubscribe", NewsKind.OPTED_OUT),
        ("subscribe", NewsKind.RESUBSCRIBED),
        ("delivered", None),
        ("replied", None),
    ],
)
def test_what_it_says_of_text_messages(status: str, kind: NewsKind | None) -> None:
    row = {"id": 7, "to": "393331234567", "msg_status": status, "type": "marketing", "ts_event": AT}
    found = BrevoNews().parse(json.dumps(row).encode())
    assert found == (
        [News(kind, "+393331234567", ALL_SMS, NOW, channel=Channel.SMS)] if kind else []
    )


def test_a_type_of_text_message_that_is_new_is_unknown() -> None:
    found = BrevoNews().parse(b'{"to": "393331234567", "msg_status": "opted"}')
    assert found == [News(NewsKind.UNKNOWN, "", "SMS opted")]
