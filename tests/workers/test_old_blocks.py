"""A block that Brevo can't date any more does not beat what the person said since (I5)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.domain.decisions import standing_no
from preference_center.domain.events import Kind
from preference_center.extensions import services
from preference_center.storage import verifying
from preference_center.storage.database import run
from preference_center.storage.facts import facts_for
from preference_center.storage.verifying import Part
from tests.clock import Clock
from tests.connectors.tools.brevo import KEY, BrevoStandIn
from tests.in_force import put_in_force
from tests.workers.reading import ANNA, TOPIC, person, say
from workers.connect import connect
from workers.destinations import Wish, add, resume
from workers.verify import verify

if TYPE_CHECKING:
    from flask import Flask


def stands() -> bool:
    return standing_no(TOPIC, facts_for([person(ANNA)])[0], services().now()) is not None


@pytest.mark.parametrize("is_dated", [False, True], ids=["without a trace", "unsubscribed now"])
def test_an_edit_of_a_blocklisted_contact_lifts_and_ends_nothing(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch, *, is_dated: bool
) -> None:
    put_in_force(app)
    monkeypatch.setenv("CONNECTORS_ALLOW_PRIVATE", "1")
    with BrevoStandIn() as server, app.app_context():
        settings = {"api_key": KEY, "base_url": server.url}
        number = add(Wish("mailer", "brevo", settings, {TOPIC: "11"}, frozenset()), "test").id
        resume("mailer", "test")
        say(Kind.OPTED_IN)
        clock.advance(timedelta(hours=1))
        now = services().now().isoformat()
        events = [{"eventTime": now}] if is_dated else []
        statistics = {"unsubscriptions": {"userUnsubscription": events}}
        server.add(ANNA, emailBlacklisted=True, modifiedAt=now, statistics=statistics)
        run(lambda c: verifying.begin(c, number, [Part.PULL], services().now()))
        until = services().now() + timedelta(seconds=5)
        assert verify(number, Part.PULL, connect, until=until, stop=lambda: False)
        assert stands() is is_dated
