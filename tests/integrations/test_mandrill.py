from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest

from preference_center.core.bounces import Bounce
from preference_center.integrations.base.vendor_events import (
    SignatureError,
    VendorEvent,
    VendorEventKind,
)
from preference_center.integrations.mandrill import MandrillWebhookSource
from tests.integrations.base.posts import ANNA, AT, NOW, URL, post

SETTINGS = {"signing_key": "key-of-ours"}
EVENTS = json.dumps([{"event": "send", "msg": {"subject": "Grüße & Küsse"}}])


def form(events: str) -> bytes:
    return urlencode({"mandrill_events": events}).encode()


def sign(events: str, key: str = "key-of-ours", url: str = URL) -> dict[str, str]:
    signed = f"{url}mandrill_events{events}".encode()
    digest = hmac.new(key.encode(), signed, hashlib.sha1).digest()
    return {"x-mandrill-signature": base64.b64encode(digest).decode()}


def parse(*rows: dict[str, Any]) -> list[VendorEvent]:
    return list(MandrillWebhookSource().parse(form(json.dumps(rows))))


def event(name: str, **message: Any) -> dict[str, Any]:
    return {"event": name, "_id": "7a", "ts": AT, "msg": {"email": ANNA, "_id": "7a"} | message}


def test_only_what_the_key_signed_for_this_url_is_genuine() -> None:
    genuine = post(form(EVENTS), sign(EVENTS))
    MandrillWebhookSource().verify(genuine, SETTINGS, NOW)
    for forged, settings in [
        (replace(genuine, body=form(EVENTS + " ")), SETTINGS),
        (replace(genuine, body=form(EVENTS) + b"&more=1"), SETTINGS),
        (replace(genuine, body=b"\xff"), SETTINGS),
        (replace(genuine, url=URL + "/"), SETTINGS),
        (replace(genuine, headers={}), SETTINGS),
        (replace(genuine, headers=sign(EVENTS, key="test-webhook")), SETTINGS),
        (genuine, {}),
    ]:
        with pytest.raises(SignatureError):
            MandrillWebhookSource().verify(forged, settings, NOW)


@pytest.mark.parametrize(
    "row, kind, by_person",
    [
        (event("unsub"), VendorEventKind.OPTED_OUT, True),
        (event("spam"), VendorEventKind.COMPLAINED, True),
        (event("reject", reject={"reason": "unsub"}), VendorEventKind.OPTED_OUT, False),
        (event("reject", reject={"reason": "hard-bounce"}), None, False),
        (event("reject"), None, False),
        (event("open"), None, False),
    ],
)
def test_what_its_events_mean(
    row: dict[str, Any], kind: VendorEventKind | None, *, by_person: bool
) -> None:
    act = f"7a {row['event']} {AT}"
    vendor_event = VendorEvent(
        kind or VendorEventKind.CONTACT_CHANGED, ANNA, None, NOW, act, by_person
    )
    assert parse(row) == ([vendor_event] if kind else [])


@pytest.mark.parametrize("name, permanent", [("hard_bounce", True), ("soft_bounce", False)])
def test_a_bounce_has_the_servers_words(name: str, *, permanent: bool) -> None:
    diag = "smtp;550 5.1.1 The email account that you tried to reach does not exist."
    (vendor_event,) = parse(event(name, diag=diag, bounce_description="bad_mailbox"))
    text = diag.removeprefix("smtp;")
    assert vendor_event.bounce == Bounce("5.1.1", "550", text, permanent, bad_address=permanent)
    assert vendor_event.kind is VendorEventKind.BOUNCED


@pytest.mark.parametrize(
    "listed, action, reason, kind",
    [
        ("blacklist", "add", "unsub", VendorEventKind.OPTED_OUT),
        ("denylist", "add", "spam", VendorEventKind.COMPLAINED),
        ("blacklist", "add", "hard-bounce", None),
        ("blacklist", "remove", "unsub", None),
        ("whitelist", "add", "unsub", None),
    ],
)
def test_who_was_listed_for_an_opt_out_is_an_event(
    listed: str, action: str, reason: str, kind: VendorEventKind | None
) -> None:
    row = {"type": listed, "action": action, "reject": {"email": ANNA, "reason": reason}, "ts": AT}
    assert [vendor_event.kind for vendor_event in parse(row)] == ([kind] if kind else [])


def test_an_unknown_event_type_is_reported() -> None:
    assert [vendor_event.target for vendor_event in parse(event("consented"))] == ["consented"]
