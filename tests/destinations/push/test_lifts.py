"""When a tool may be asked to lift, and how long a request to lift counts as under way."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask

from preference_center.core.events import EventKind
from preference_center.destinations.connect import LEASE_DURATION
from preference_center.destinations.push import LATE_EFFECT_WINDOW
from preference_center.destinations.rules.plan import HELD_LIFT_INTERVAL
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import DeliveryError, PushItem
from preference_center.ledger.history_loss import accept_losses
from tests.clock import Clock
from tests.destinations.connected import connect
from tests.destinations.steps import ANNA, OTHER, TOPIC, say, state, work
from tests.destinations.tool import Tool

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
OTHER_FORM = "anna+shop@example.com"


@pytest.fixture
def unanswered_lift(destination: int, tool: Tool, clock: Clock) -> PushItem:
    """A request to lift that was sent just now, and whose response never came."""
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    clock.advance(timedelta(minutes=1))
    say(EventKind.OPTED_IN)

    def time_out(_: object) -> None:
        raise DeliveryError("no answer")

    tool.before = time_out
    work(destination, tool)
    tool.before = None
    [sent] = tool.pushes[-1]
    assert sent.lift == {TOPIC}
    return sent


@pytest.mark.parametrize(
    "elapsed",
    [
        pytest.param(20 * SECOND, id="during its lease"),
        pytest.param(LEASE_DURATION, id="at the end of its lease"),
        pytest.param(LEASE_DURATION + 59 * SECOND, id="a minute after it, less a second"),
    ],
)
def test_an_opt_out_counts_only_once_an_unanswered_lift_can_not_act_any_more(
    destination: int, tool: Tool, clock: Clock, unanswered_lift: PushItem, elapsed: timedelta
) -> None:  # I5
    clock.advance(elapsed)
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    assert tool.off[ANNA] == {TOPIC}
    assert state(ANNA, "due_at") is not None
    tool.apply([unanswered_lift])  # the old request acts now
    clock.advance(LEASE_DURATION + LATE_EFFECT_WINDOW - elapsed)
    work(destination, tool)
    assert tool.off[ANNA] == {TOPIC}
    assert state(ANNA, "due_at") is None


def test_an_opt_out_counts_at_once_when_an_unanswered_lift_can_not_act_any_more(
    destination: int, tool: Tool, clock: Clock, unanswered_lift: PushItem
) -> None:  # I3
    assert unanswered_lift.lift
    clock.advance(LEASE_DURATION + LATE_EFFECT_WINDOW)
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    assert tool.off[ANNA] == {TOPIC}
    assert state(ANNA, "due_at") is None


@pytest.mark.parametrize("end", ["an own opt-in", "the end of a pause"])
def test_nothing_is_lifted_while_an_opt_out_of_another_form_stands(
    destination: int, tool: Tool, clock: Clock, end: str
) -> None:  # I5, I9
    if end == "an own opt-in":
        say(EventKind.OPTED_OUT)
    else:
        say(EventKind.PAUSED, until=clock() + DAY)
    work(destination, tool)
    assert tool.off[ANNA] == {TOPIC}
    clock.advance(SECOND)
    if end == "an own opt-in":
        say(EventKind.OPTED_IN)
        clock.advance(SECOND)
    say(EventKind.OPTED_OUT, OTHER_FORM)
    clock.advance(DAY)
    work(destination, tool)
    assert tool.off[ANNA] == {TOPIC}
    assert not any(item.lift for batch in tool.pushes for item in batch)


@pytest.mark.usefixtures("in_context")
@pytest.mark.parametrize("end", ["an own opt-in", "the end of a pause"])
def test_lifts_wait_and_opt_outs_go_on_while_the_database_lacks_events(
    app: Flask, tool: Tool, clock: Clock, end: str
) -> None:  # I5: a later opt-out may be among those that are missing
    destination = connect(app, "both", {TOPIC, OTHER})
    if end == "an own opt-in":
        say(EventKind.OPTED_OUT)
    else:
        say(EventKind.PAUSED, until=clock() + DAY)
    work(destination, tool)
    run_in_transaction(
        lambda c: c.execute("INSERT INTO history_loss (found_at) VALUES (%s)", (clock(),))
    )
    clock.advance(DAY)
    if end == "an own opt-in":
        say(EventKind.OPTED_IN)
    work(destination, tool)
    assert tool.off[ANNA] == {TOPIC}
    say(EventKind.OPTED_OUT, scope=OTHER)
    work(destination, tool)
    assert tool.off[ANNA] == {TOPIC, OTHER}
    assert state(ANNA, "due_at") is None

    run_in_transaction(lambda c: accept_losses(c, "grace"))
    clock.advance(HELD_LIFT_INTERVAL)
    work(destination, tool)
    assert tool.off[ANNA] == {OTHER}
