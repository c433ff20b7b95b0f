"""A STOP that is texted to one of our numbers, or to a tool, reaches each that sends texts."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, cast
from urllib.parse import urlencode

import pytest

from preference_center.core.addresses import Channel
from preference_center.destinations.change_settings import change_settings
from preference_center.destinations.connect import connect
from preference_center.destinations.process import ingest_webhooks
from preference_center.destinations.push import sync
from preference_center.destinations.rules.states import Destination
from preference_center.destinations.scan import verify
from preference_center.destinations.set_up import add_destination, resume_destination
from preference_center.destinations.store import destinations, listings
from preference_center.destinations.store.listings import ListingKind
from preference_center.destinations.validate import DestinationRequest
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import PushItem, SupportsPull, SupportsRead
from tests.clock import START
from tests.destinations.rate_limits import wait_for_no_rate_limit
from tests.in_force import CATALOGUE, put_in_force
from tests.integrations.both_ways_contract import whole
from tests.integrations.tools.braze import KEY as BRAZE_KEY
from tests.integrations.tools.braze import BrazeStandIn
from tests.integrations.tools.brevo import KEY as BREVO_KEY
from tests.integrations.tools.brevo import BrevoStandIn
from tests.integrations.tools.klaviyo import KEY as KLAVIYO_KEY
from tests.integrations.tools.klaviyo import KlaviyoStandIn
from tests.integrations.tools.mailchimp import AUDIENCE, MailchimpStandIn
from tests.integrations.tools.mailchimp import KEY as MAILCHIMP_KEY
from tests.integrations.tools.twilio import KEY as TWILIO_KEY
from tests.integrations.tools.twilio import SECRET as TWILIO_SECRET
from tests.integrations.tools.twilio import TwilioStandIn

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

ANNA, OURS = "+393331234567", "+15550100"
TOKEN, SECRET = "0123456789abcdef", "long-and-random-secret"
TOPIC, EMAIL_TOPIC = "acme.sms", "acme.offers"


@dataclass(frozen=True)
class Tool:
    """One tool that knows Anna's number and texts it."""

    settings: dict[str, str]
    mapping: dict[str, str]
    is_texted: Callable[[], bool]
    stop: Callable[[], None] = lambda: None
    """What STOP does that is texted to the tool itself."""


@contextmanager
def klaviyo() -> Iterator[Tool]:
    with KlaviyoStandIn() as server:
        consent = server.add_phone(ANNA)
        assert consent["consent"] == "SUBSCRIBED"
        yield Tool(
            {"api_key": KLAVIYO_KEY, "base_url": server.url},
            {TOPIC: "sms", EMAIL_TOPIC: "11"},
            lambda: server.phones[ANNA]["consent"] == "SUBSCRIBED",
            lambda: server.revoke(ANNA),
        )


@contextmanager
def brevo() -> Iterator[Tool]:
    with BrevoStandIn() as server:
        server.add_phone(ANNA)
        yield Tool(
            {"api_key": BREVO_KEY, "base_url": server.url},
            {TOPIC: "sms", EMAIL_TOPIC: "11"},
            lambda: not server.contacts[ANNA]["smsBlacklisted"],
            lambda: server.contacts[ANNA].update(smsBlacklisted=True),
        )


@contextmanager
def braze() -> Iterator[Tool]:
    with BrazeStandIn() as server:
        server.add(ANNA)
        server.groups["99"][ANNA] = "subscribed"
        yield Tool(
            {"api_key": BRAZE_KEY, "url": server.url},
            {TOPIC: "99", EMAIL_TOPIC: "11"},
            lambda: server.groups["99"][ANNA] == "subscribed",
        )


@contextmanager
def mailchimp() -> Iterator[Tool]:
    with MailchimpStandIn() as server:
        server.add_phone(ANNA)
        sms = server.texts[ANNA]["sms_channel"]
        yield Tool(
            {"api_key": MAILCHIMP_KEY, "audience": AUDIENCE, "base_url": server.url},
            {TOPIC: "sms", EMAIL_TOPIC: "11"},
            lambda: sms["effective_subscription_status"]["value"] == "subscribed",
            lambda: sms.update(effective_subscription_status={"value": "unsubscribed"}),
        )


@contextmanager
def twilio() -> Iterator[Tool]:
    """Another number than the one that STOP was texted to, which Twilio blocks by itself."""
    with TwilioStandIn() as server:
        yield Tool(
            {"api_key": TWILIO_KEY, "api_secret": TWILIO_SECRET, "base_url": server.url},
            {TOPIC: "MG00000000000000000000000000000001"},
            lambda: not server.off.get(ANNA),
        )


TOOLS = {
    "klaviyo": klaviyo,
    "brevo": brevo,
    "braze": braze,
    "mailchimp": mailchimp,
    "twilio": twilio,
}


@pytest.fixture
def app(app: Flask, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Flask:
    put_in_force(app)
    wait_for_no_rate_limit(app, redis_url, monkeypatch)
    monkeypatch.setenv("CONNECTORS_ALLOW_PRIVATE", "1")
    return app


def text_stop(client: FlaskClient, name: str) -> None:
    """What Twilio posts when Anna texts STOP, signed as it signs."""
    fields = {"From": ANNA, "To": OURS, "Body": "STOP", "MessageSid": "SM1"}
    url = f"https://preferences.example.com/in/{name}"
    signed = url + "".join(name + value for name, value in sorted(fields.items()))
    digest = hmac.digest(TOKEN.encode(), signed.encode(), hashlib.sha1)
    answer = client.post(
        f"/in/{name}",
        data=urlencode(fields),
        headers={"X-Twilio-Signature": base64.b64encode(digest).decode()},
        content_type="application/x-www-form-urlencoded",
    )
    assert answer.status_code == 200


def set_up(kind: str, name: str, tool: Tool) -> Destination:
    request = DestinationRequest(name, kind, tool.settings, tool.mapping, frozenset())
    added = add_destination(request, "test")
    assert added.report.ok
    destination = resume_destination(name, "test")
    run_in_transaction(lambda c: destinations.mark_pulled(c, added.id, services().now()))
    return destination


@pytest.mark.parametrize("kind", TOOLS)
def test_a_texted_stop_reaches_the_tool(app: Flask, client: FlaskClient, kind: str) -> None:  # I3
    with TOOLS[kind]() as tool, app.app_context():
        listener = DestinationRequest("texts", "twilio", {"auth_token": TOKEN}, {}, frozenset())
        add_destination(listener, "test")
        destination = set_up(kind, "mailer", tool)
        assert Channel.SMS in destination.channels
        assert tool.is_texted()
        text_stop(client, "texts")
        until = services().now() + timedelta(seconds=5)
        assert sync(destination.id, connect, until=until, stop=lambda: False) == 1
        assert not tool.is_texted()


@pytest.mark.parametrize(
    "catalogue",
    [
        CATALOGUE.replace('channel = "sms"', 'channel = "sms"\nretired = true'),
        CATALOGUE[: CATALOGUE.index('[topics."acme.sms"]')],
    ],
    ids=["retired", "deleted"],
)
def test_email_goes_on_when_the_topic_by_sms_is_no_more(app: Flask, catalogue: str) -> None:
    with klaviyo() as tool, app.app_context():
        destination = set_up("klaviyo", "mailer", tool)
        put_in_force(app, catalogue)
        connector = cast("SupportsRead", connect(destination))
        item = PushItem(1, "bo@example.com", Channel.EMAIL)
        assert connector.read([item]) == {1: frozenset()}
        assert list(whole(cast("SupportsPull", connector).pull)[0]) == []


def test_what_only_received_stop_pushes_once_it_has_a_key(app: Flask, client: FlaskClient) -> None:
    """Of one destination at Twilio, that hears STOP at one number and pushes to another."""
    with twilio() as tool, app.app_context():
        add_destination(
            DestinationRequest("texts", "twilio", {"auth_token": TOKEN}, tool.mapping, frozenset()),
            "test",
        )
        text_stop(client, "texts")
        change_settings("texts", tool.settings, "test")
        destination = resume_destination("texts", "test")
        assert destination.channels == {Channel.SMS}
        until = services().now() + timedelta(seconds=5)
        sync(destination.id, connect, until=until, stop=lambda: False)
        assert not tool.is_texted()


def klaviyo_hears(client: FlaskClient) -> None:
    """Its webhook names the profile only, whose number the worker asks for."""
    event = {
        "external_id": "e1",
        "topic": "event:klaviyo.unsubscribed_from_sms_marketing",
        "payload": {
            "data": {
                "type": "event",
                "attributes": {"datetime": START.isoformat()},
                "relationships": {"profile": {"data": {"type": "profile", "id": f"id:{ANNA}"}}},
            }
        },
    }
    body = json.dumps({"data": [event], "meta": {"timestamp": START.isoformat()}}).encode()
    stamp = "Tue, 24 Nov 2026 09:00:00 GMT"
    signature = hmac.digest(SECRET.encode(), body + stamp.encode(), hashlib.sha256).hex()
    headers = {"Klaviyo-Signature": signature, "Klaviyo-Timestamp": stamp}
    assert client.post("/in/klaviyo", data=body, headers=headers).status_code < 300


def brevo_hears(client: FlaskClient) -> None:
    row = {"to": ANNA.removeprefix("+"), "msg_status": "unsubscribe", "type": "marketing"}
    body = json.dumps([row | {"ts_event": int(START.timestamp())}])
    headers = {"Authorization": f"Bearer {SECRET}"}
    assert client.post("/in/brevo", data=body, headers=headers).status_code < 300


def braze_hears(client: FlaskClient) -> None:
    properties = {
        "subscription_group_id": "99",
        "channel": "sms",
        "channel_identifier": ANNA,
        "subscription_status": "Unsubscribed",
        "state_change_source": "Inbound Message",
    }
    event = {
        "event_type": "users.behaviors.subscriptiongroup.StateChange",
        "id": "a1",
        "time": int(START.timestamp()),
        "properties": properties,
    }
    body = json.dumps({"events": [event]})
    assert client.post(f"/in/braze/{SECRET}", data=body).status_code < 300


HEARS = {"klaviyo": klaviyo_hears, "brevo": brevo_hears, "braze": braze_hears}
PROOFS = {
    "klaviyo": {"webhook_secret": SECRET},
    "brevo": {"webhook_token": SECRET, "networks": "any"},
    "braze": {"webhook_secret": SECRET, "networks": "any"},
}


@pytest.mark.parametrize("kind", HEARS)
def test_a_stop_that_a_vendor_reports_reaches_all_the_others(
    app: Flask, client: FlaskClient, kind: str
) -> None:  # I3, I13
    with ExitStack() as stack, app.app_context():
        tools = {name: stack.enter_context(make()) for name, make in TOOLS.items()}
        there = {
            name: set_up(name, name, replace(tool, settings=tool.settings | PROOFS.get(name, {})))
            for name, tool in tools.items()
        }
        HEARS[kind](client)
        until = services().now() + timedelta(seconds=5)
        assert ingest_webhooks(there[kind].id, connect, until=until, stop=lambda: False) == 1
        for destination in there.values():
            sync(destination.id, connect, until=until, stop=lambda: False)
        assert not [name for name, tool in tools.items() if name != kind and tool.is_texted()]


@pytest.mark.parametrize("kind", ["klaviyo", "brevo", "mailchimp"])
def test_a_stop_that_is_found_in_a_tool_reaches_another(app: Flask, kind: str) -> None:  # I13
    with TOOLS[kind]() as tool, twilio() as other, app.app_context():
        mailer, texts = set_up(kind, "mailer", tool), set_up("twilio", "texts", other)
        tool.stop()
        run_in_transaction(
            lambda c: listings.schedule_listings(c, mailer.id, [ListingKind.PULL], services().now())
        )
        until = services().now() + timedelta(seconds=5)
        assert verify(mailer.id, ListingKind.PULL, connect, until=until, stop=lambda: False)
        sync(texts.id, connect, until=until, stop=lambda: False)
        assert not other.is_texted()
