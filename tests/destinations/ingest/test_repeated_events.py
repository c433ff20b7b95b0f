"""A new "no" made in a tool is recorded though an older one stands that was overridden since.

A report is known only if it changes no decision (I5, I13).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

import pytest

from preference_center.core.events import ALL_MARKETING, Change, EventKind, Retraction
from preference_center.decisions.rules import find_denial
from preference_center.destinations.ingest import ingest
from preference_center.destinations.rules.classify import PROPAGATION_DELAY
from preference_center.destinations.store import webhooks
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.ledger import record
from preference_center.ledger.retracting import retract
from preference_center.ledger.store.lookup import load_facts
from tests.clock import Clock
from tests.destinations.ingest.steps import ingest_stored
from tests.destinations.steps import ANNA, OTHER, TOPIC, events, person, say, work
from tests.destinations.tool import Tool
from tests.destinations.two_way_tool import TwoWayTool, add_destination, look

pytestmark = pytest.mark.usefixtures("in_context")

HOUR = timedelta(hours=1)


def _mailchimp(reason: str, kind: str = "unsubscribe") -> Callable[[datetime], bytes]:
    def body(at: datetime) -> bytes:
        form = {
            "type": kind,
            "fired_at": f"{at:%Y-%m-%d %H:%M:%S}",
            "data[action]": "unsub",
            "data[reason]": reason,
            "data[email]": ANNA,
            "data[list_id]": "a6b5da1054",
        }
        return urlencode(form).encode()

    return body


def _klaviyo(at: datetime) -> bytes:
    attributes = {"timestamp": int(at.timestamp()), "event_properties": {"email_address": ANNA}}
    event = {
        "external_id": "73WCCK7JKtE",
        "topic": "event:klaviyo.unsubscribed_from_email_marketing",
        "payload": {"data": {"type": "event", "id": "73WCCK7JKtE", "attributes": attributes}},
    }
    return json.dumps({"data": [event], "meta": {"version": "2026-07-15"}}).encode()


def _intercom(at: datetime) -> bytes:
    item = {"contact": {"type": "contact", "id": "64d1", "email": ANNA}}
    row = {"topic": "contact.unsubscribed", "id": "notif_7", "created_at": int(at.timestamp())}
    return json.dumps(row | {"data": {"item": item}}).encode()


def _resend(at: datetime) -> bytes:
    data = {"email": ANNA, "unsubscribed": True}
    row = {"type": "contact.updated", "created_at": at.isoformat(), "data": data}
    return json.dumps(row).encode()


def _standard(at: datetime) -> bytes:
    row = {"type": "opted_out", "timestamp": at.isoformat(), "data": {"address": ANNA}}
    return json.dumps(row).encode()


VENDORS = [
    pytest.param("mailchimp", _mailchimp("manual"), id="mailchimp"),
    pytest.param("mailchimp", _mailchimp("abuse"), id="mailchimp abuse"),
    pytest.param("mailchimp", _mailchimp("abuse", "cleaned"), id="mailchimp cleaned for abuse"),
    pytest.param("klaviyo", _klaviyo, id="klaviyo"),
    pytest.param("intercom", _intercom, id="intercom"),
    pytest.param("resend", _resend, id="resend"),
    pytest.param("standard_webhooks", _standard, id="standard webhook"),
]


def is_denied(topic: str) -> bool:
    return find_denial(topic, load_facts([person(ANNA)])[0], services().now()) is not None


def deliver(number: int, tool: Tool, body: bytes) -> None:
    context = services()
    run_in_transaction(
        lambda c: webhooks.insert_webhook(
            c, context.keys, context.new_id(), number, body, context.now()
        )
    )
    ingest_stored(number, tool)


def opted_in_again(clock: Clock) -> None:
    """All marketing is off, but for the one topic that the person asked for since."""
    say(EventKind.OPTED_OUT, scope=ALL_MARKETING)
    clock.advance(HOUR)
    say(EventKind.OPTED_IN)
    assert not is_denied(TOPIC)


@pytest.mark.parametrize("kind, body", VENDORS)
def test_all_marketing_turned_off_in_a_tool_covers_what_was_opted_in_to_since(
    kind: str, body: Callable[[datetime], bytes], clock: Clock
) -> None:  # I5, I13
    number, tool = add_destination("mailer", TOPIC, OTHER, kind=kind), Tool()
    opted_in_again(clock)
    work(number, tool)
    clock.advance(HOUR)
    deliver(number, tool, body(clock()))
    assert is_denied(TOPIC)
    assert is_denied(OTHER)
    assert events()[-1][0] in {"opted_out", "complained"}
    assert events()[-1][1:] == ("all_marketing", "destination", "mailer", False)


@pytest.mark.parametrize("kind, body", VENDORS)
def test_it_is_known_while_the_older_one_stands_for_all_that_it_covers(
    kind: str, body: Callable[[datetime], bytes], clock: Clock
) -> None:  # I7
    number = add_destination("mailer", TOPIC, OTHER, kind=kind)
    say(EventKind.OPTED_IN)
    clock.advance(HOUR)
    say(EventKind.OPTED_OUT, scope=ALL_MARKETING)
    clock.advance(HOUR)
    deliver(number, Tool(), body(clock()))
    assert len(events()) == 2


@pytest.mark.parametrize("kind, body", VENDORS)
def test_the_undo_of_an_import_leaves_what_a_tool_reported_after_it(
    kind: str, body: Callable[[datetime], bytes], clock: Clock
) -> None:  # I5
    number = add_destination("mailer", TOPIC, OTHER, kind=kind)
    clock.advance(HOUR)
    imported = Change(
        UUID(int=1),
        EventKind.OPTED_OUT,
        person(ANNA),
        ALL_MARKETING,
        clock(),
        clock(),
        "import",
        "ann",
    )
    record([imported])
    clock.advance(HOUR)
    deliver(number, Tool(), body(clock()))
    undo = Retraction(UUID(int=2), (imported.id,), clock(), "import", "ann")
    run_in_transaction(lambda connection: retract(connection, undo, clock()))
    assert is_denied(TOPIC)


def test_a_hard_bounce_is_recorded_again_once_the_person_has_opted_in_since(
    clock: Clock,
) -> None:  # I13
    number, tool = add_destination("mailer", TOPIC), TwoWayTool()
    bounced = VendorEvent(VendorEventKind.BOUNCED, ANNA)
    ingest(look(number), tool, [bounced])
    clock.advance(HOUR)
    say(EventKind.OPTED_IN)
    assert not is_denied(TOPIC)
    ingest(look(number), tool, [bounced])
    assert is_denied(TOPIC)
    ingest(look(number), tool, [bounced])
    assert [event[0] for event in events()] == ["bounced", "opted_in", "bounced"]


@pytest.mark.parametrize(
    "after", [timedelta(minutes=1), PROPAGATION_DELAY + HOUR], ids=["at once", "later"]
)
def test_our_own_push_of_all_marketing_coming_back_late_denies_nothing(
    after: timedelta, clock: Clock
) -> None:  # I5: the tool is asked, where it can be
    number, tool = add_destination("mailer", TOPIC, OTHER), TwoWayTool()
    tool.add(ANNA)
    say(EventKind.OPTED_OUT, scope=ALL_MARKETING)
    work(number, tool)
    pushed_at = clock()
    clock.advance(HOUR)
    say(EventKind.OPTED_IN)
    work(number, tool)
    assert tool.off[ANNA] == {OTHER}
    clock.advance(after)
    ingest(look(number), tool, [VendorEvent(VendorEventKind.OPTED_OUT, ANNA, None, pushed_at)])
    assert not is_denied(TOPIC)
    assert len(events()) == 2
