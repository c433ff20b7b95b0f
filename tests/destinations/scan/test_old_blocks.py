"""A block that Brevo can't date any more does not outrank what the person chose since (I5)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.core.events import EventKind
from preference_center.decisions.rules import find_denial
from preference_center.destinations.connect import connect
from preference_center.destinations.scan import verify
from preference_center.destinations.set_up import add_destination, resume_destination
from preference_center.destinations.store import listings
from preference_center.destinations.store.listings import ListingKind
from preference_center.destinations.validate import DestinationRequest
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.store.lookup import load_facts
from tests.clock import Clock
from tests.destinations.rate_limits import wait_for_no_rate_limit
from tests.destinations.steps import ANNA, TOPIC, person, say
from tests.in_force import put_in_force
from tests.integrations.tools.brevo import KEY, BrevoStandIn

if TYPE_CHECKING:
    from flask import Flask


def stands() -> bool:
    return find_denial(TOPIC, load_facts([person(ANNA)])[0], services().now()) is not None


@pytest.mark.parametrize("is_dated", [False, True], ids=["without a trace", "unsubscribed now"])
def test_an_edit_of_a_blocklisted_contact_lifts_and_ends_nothing(
    app: Flask, redis_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch, *, is_dated: bool
) -> None:
    put_in_force(app)
    wait_for_no_rate_limit(app, redis_url, monkeypatch)
    monkeypatch.setenv("CONNECTORS_ALLOW_PRIVATE", "1")
    with BrevoStandIn() as server, app.app_context():
        settings = {"api_key": KEY, "base_url": server.url}
        number = add_destination(
            DestinationRequest("mailer", "brevo", settings, {TOPIC: "11"}, frozenset()), "test"
        ).id
        resume_destination("mailer", "test")
        say(EventKind.OPTED_IN)
        clock.advance(timedelta(hours=1))
        now = services().now().isoformat()
        events = [{"eventTime": now}] if is_dated else []
        statistics = {"unsubscriptions": {"userUnsubscription": events}}
        server.add(ANNA, emailBlacklisted=True, modifiedAt=now, statistics=statistics)
        run_in_transaction(
            lambda c: listings.schedule_listings(c, number, [ListingKind.PULL], services().now())
        )
        until = services().now() + timedelta(seconds=5)
        assert verify(number, ListingKind.PULL, connect, until=until, stop=lambda: False)
        assert stands() is is_dated
