"""Bounces and complaints that tools report, as the catalogue's policy has them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from preference_center.core.bounces import Bounce
from preference_center.decisions.rules import find_denial
from preference_center.destinations.ingest import ingest, preview_ingest
from preference_center.destinations.push import sync
from preference_center.destinations.rules.plan import active_suppressions
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.ledger.store.lookup import load_facts
from tests.clock import Clock
from tests.destinations.ingest.steps import ingest_stored, post, unsubscribe
from tests.destinations.two_way_tool import TwoWayTool, add_destination, look
from tests.in_force import CATALOGUE, put_in_force
from tests.ledger.changes import JANE

TOPIC = "acme.offers"
DAY = timedelta(days=1)


pytestmark = pytest.mark.usefixtures("in_context")


@pytest.fixture
def mailer() -> int:
    return add_destination("mailer", TOPIC)


def bounce(act: str, status: str = "5.2.1", **more: Any) -> dict[str, Any]:
    """As SendGrid tells it: a block, of which it makes no suppression of its own."""
    return unsubscribe(
        JANE.exact, act, event="bounce", type="blocked", status=status, reason="", **more
    )


def events() -> list[tuple[str, str, datetime | None]]:
    return run_in_transaction(
        lambda c: c.execute("SELECT kind, scope, until FROM event ORDER BY seq").fetchall()
    )


def test_bounces_on_two_days_stop_marketing_for_a_time(mailer: int, clock: Clock) -> None:  # F10
    post(mailer, bounce("1"), bounce("2"))
    ingest_stored(mailer, TwoWayTool())
    assert events() == []
    clock.advance(DAY)
    post(mailer, bounce("3"))
    ingest_stored(mailer, TwoWayTool())
    assert events() == [("paused", "undeliverable", clock() + timedelta(days=30))]


def test_one_bounce_reported_again_on_another_day_counts_once(mailer: int, clock: Clock) -> None:
    first = bounce("1")
    post(mailer, first)
    ingest_stored(mailer, TwoWayTool())
    clock.advance(DAY)
    post(mailer, first, bounce("1"))  # the same id: the same bounce
    ingest_stored(mailer, TwoWayTool())
    assert events() == []


def test_a_listing_that_names_neither_day_nor_act_never_adds_up(mailer: int, clock: Clock) -> None:
    found = [VendorEvent(VendorEventKind.BOUNCED, JANE.exact, bounce=Bounce("5.2.1"))]
    for _ in range(3):
        ingest(look(mailer), TwoWayTool(), found)
        clock.advance(DAY)
    assert events() == []


def test_words_go_before_the_code_here_too(mailer: int) -> None:  # F11
    full = unsubscribe("full@example.com", "1", event="bounce", status="5.1.1")
    gone = unsubscribe(JANE.exact, "2", event="bounce", status="4.1.1")
    post(mailer, full | {"reason": "552 mailbox full"}, gone | {"reason": "450 user unknown"})
    ingest_stored(mailer, TwoWayTool())
    assert events() == [("bounced", "undeliverable", None)]


def test_a_dry_run_counts_nothing(mailer: int, clock: Clock) -> None:
    for _ in range(2):
        found = [
            VendorEvent(
                VendorEventKind.BOUNCED, JANE.exact, occurred_at=clock(), bounce=Bounce("5.2.1")
            )
        ]
        assert preview_ingest(look(mailer), TwoWayTool(), found) == []
        clock.advance(DAY)


def test_the_tool_is_pushed_to_and_again_when_the_time_is_over(mailer: int, clock: Clock) -> None:
    tool, other = TwoWayTool(), add_destination("other", TOPIC)
    tool.add(JANE.exact)
    for act in ("1", "2"):
        post(mailer, bounce(act))
        ingest_stored(mailer, tool)
        clock.advance(DAY)
    _sync(other, tool)
    assert tool.off[JANE.exact] == {TOPIC}
    clock.advance(timedelta(days=30))
    _sync(other, tool)
    assert tool.off[JANE.exact] == set()


def test_a_tool_that_cannot_lift_gets_nothing_that_ends(mailer: int, clock: Clock) -> None:  # I10
    for act in ("1", "2"):
        clock.advance(DAY)
        post(mailer, bounce(act))
        ingest_stored(mailer, TwoWayTool())
    [facts] = load_facts([JANE])
    opted_out = find_denial(TOPIC, facts, clock())
    assert opted_out
    assert opted_out.until == clock() + timedelta(days=30)
    assert active_suppressions(frozenset({TOPIC}), facts, clock(), can_lift=True)
    assert not active_suppressions(frozenset({TOPIC}), facts, clock(), can_lift=False)
    post(mailer, bounce("3", "5.1.1") | {"type": "bounce"})
    ingest_stored(mailer, TwoWayTool())
    [facts] = load_facts([JANE])
    assert active_suppressions(
        frozenset({TOPIC}), facts, clock(), can_lift=False
    )  # this one doesn't end


@pytest.mark.parametrize(
    "stops, group, scope",
    [
        ("all_marketing", TOPIC, "all_marketing"),
        ("topic", TOPIC, TOPIC),
        ("topic", "4711", "all_marketing"),  # of a group that no topic maps to
        ("topic", None, "all_marketing"),
    ],
)
def test_a_complaint_stops_what_the_policy_names(
    app: Flask, mailer: int, stops: str, group: str | None, scope: str
) -> None:
    put_in_force(app, f'{CATALOGUE}[deliverability]\ncomplaints_stop = "{stops}"\n')
    post(mailer, unsubscribe(JANE.exact, "1", event="spamreport", asm_group_id=group))
    ingest_stored(mailer, TwoWayTool())
    assert events() == [("complained", scope, None)]


def _sync(number: int, tool: TwoWayTool) -> None:
    until = services().now() + timedelta(seconds=5)
    sync(number, tool.connect, until=until, stop=lambda: False)
