"""A worker confirms the webhook subscription of a vendor that asks for it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from preference_center.core.errors import InvalidInput
from preference_center.destinations.process import confirm_subscription, ingest_webhooks
from preference_center.destinations.rules.states import Destination
from preference_center.destinations.store import webhooks
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.base.vendor_events import SubscriptionConfirmation
from tests.clock import Clock
from tests.destinations.two_way_tool import TwoWayTool, add_destination, look
from tests.integrations.base.sns import TOPIC, subscription

pytestmark = pytest.mark.usefixtures("in_context")


class Sns:
    """Accepts confirmations, or fails on request."""

    def __init__(self) -> None:
        self.asked: list[SubscriptionConfirmation] = []
        self.fault: Exception | None = None

    def __call__(self, _: Destination, request: SubscriptionConfirmation) -> None:
        if self.fault:
            raise self.fault
        self.asked.append(request)


def take(number: int, sns: Sns) -> None:
    until = services().now() + timedelta(seconds=5)
    ingest_webhooks(
        number, TwoWayTool().connect, until=until, stop=lambda: False, confirm_subscription=sns
    )


def outcomes() -> list[str]:
    return [
        row[0]
        for row in run_in_transaction(
            lambda c: c.execute("SELECT outcome FROM webhook_inbox").fetchall()
        )
    ]


@pytest.fixture
def number() -> int:
    number, context = add_destination("amazon", "acme.offers"), services()
    run_in_transaction(lambda c: c.execute("UPDATE destination SET kind = 'ses'"))
    new_id = context.new_id()
    run_in_transaction(
        lambda c: webhooks.insert_webhook(
            c, context.keys, new_id, number, subscription(), context.now()
        )
    )
    return number


def test_it_is_asked_for_until_it_works(number: int, clock: Clock) -> None:
    sns = Sns()
    sns.fault = DeliveryError("away")
    take(number, sns)
    assert outcomes() == ["away"]
    sns.fault = None
    clock.advance(timedelta(minutes=10))
    take(number, sns)
    assert outcomes() == ["ingested"]
    assert [request.query["TopicArn"] for request in sns.asked] == [TOPIC]


def test_what_is_refused_is_not_asked_for_again(number: int) -> None:
    sns = Sns()
    sns.fault = InvalidInput("the confirmation was refused: HTTP 404")
    take(number, sns)
    assert outcomes() == ["unreadable"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_it_is_never_asked_of_a_private_host(
    number: int, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONNECTORS_ALLOW_PRIVATE", raising=False)
    with pytest.raises(DeliveryError):
        confirm_subscription(look(number), SubscriptionConfirmation(host, {}))
