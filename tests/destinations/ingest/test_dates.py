"""A tool's clock is not trusted: what somebody turns off there stays off there (I5)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from preference_center.core.events import EventKind, Retraction
from preference_center.decisions.rules import Decision, find_denial
from preference_center.destinations.ingest import ingest
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.ledger import record
from preference_center.ledger.store.lookup import load_facts
from tests.clock import Clock
from tests.destinations.ingest.steps import ingest_stored, post, unsubscribe
from tests.destinations.steps import ANNA, OTHER, TOPIC, person, say, state, work
from tests.destinations.tool import Tool
from tests.destinations.two_way_tool import TwoWayTool, add_destination, look
from tests.ledger.changes import EVENT_WITH_EVIDENCE

DAY, HOUR = timedelta(days=1), timedelta(hours=1)

pytestmark = pytest.mark.usefixtures("in_context")

Mailer = Tool | TwoWayTool


def ready(tool: Mailer, clock: Clock, kind: str = "sendgrid", *, pushed: bool = True) -> int:
    """A tool, an hour after the person's own opt-in.

    `pushed`: it was asked the day before to turn the topic off, and now to turn it on.
    """
    if isinstance(tool, TwoWayTool):
        tool.add(ANNA)
    tool.off[ANNA] = set()
    number = add_destination("mailer", TOPIC, OTHER, kind=kind)
    if pushed:
        say(EventKind.OPTED_OUT)
        work(number, tool)
    clock.advance(DAY)
    say(EventKind.OPTED_IN)
    work(number, tool)
    assert tool.off[ANNA] == set()
    clock.advance(HOUR)
    return number


def decision() -> Decision | None:
    return find_denial(TOPIC, load_facts([person(ANNA)])[0], services().now())


def sync_for_a_day(number: int, tool: Mailer, clock: Clock) -> None:
    for _ in range(3):
        work(number, tool)
        clock.advance(8 * HOUR)


def lifts_of(tool: Mailer) -> int:
    return sum(bool(item.lift) for batch in tool.pushes for item in batch)


def ago(hours: float) -> int:
    return int((services().now() - timedelta(hours=hours)).timestamp())


@pytest.mark.parametrize(
    "hours",
    [
        pytest.param(None, id="zero"),
        pytest.param(24 * 365 * 2, id="two years ago"),
        pytest.param(20, id="yesterday"),
        pytest.param(-20, id="tomorrow"),
        pytest.param(0, id="now"),
    ],
)
@pytest.mark.parametrize("make", [Tool, TwoWayTool], ids=["cannot be read", "can be read"])
@pytest.mark.parametrize("pushed", [True, False], ids=["lifted there", "never off there"])
def test_a_persons_no_in_a_tool_is_never_turned_on_again_whatever_its_date(
    make: type[Mailer], hours: float | None, clock: Clock, *, pushed: bool
) -> None:  # I5, I13
    tool = make()
    number = ready(tool, clock, pushed=pushed)
    tool.off[ANNA].add(TOPIC)
    post(number, unsubscribe(timestamp=0 if hours is None else ago(hours)))
    ingest_stored(number, tool)
    found = decision()
    assert found
    assert found.since
    sync_for_a_day(number, tool, clock)
    assert tool.off[ANNA] == {TOPIC}
    assert lifts_of(tool) == pushed


def test_an_opt_out_of_another_form_is_not_dated_before_an_opt_in_either(
    clock: Clock,
) -> None:  # I5, I9
    tool = Tool()
    number = ready(tool, clock)
    tag = ANNA.replace("@", "+shop@")
    post(number, unsubscribe(email=tag, timestamp=ago(7)))
    ingest_stored(number, tool)
    assert decision()


def test_what_is_opted_in_to_since_does_not_vouch_for_the_date_of_an_opt_out(
    clock: Clock,
) -> None:  # I5: found by the simulation
    tool = Tool()
    number = ready(tool, clock)
    post(number, unsubscribe(event="unsubscribe", timestamp=ago(7)))
    clock.advance(timedelta(minutes=3))
    say(EventKind.OPTED_IN, scope=OTHER)
    ingest_stored(number, tool)
    assert decision()


def standard(at: str) -> dict[str, Any]:
    data = {"address": ANNA, "topic": TOPIC}
    return {"type": "opted_out", "timestamp": at, "data": data}


@pytest.mark.parametrize("act", ["naive", "zero", "yesterday"])
def test_an_opt_out_without_an_author_is_not_turned_on_again_either(
    act: str, clock: Clock
) -> None:  # I5: such a tool can't be asked, so it is believed
    tool = Tool()
    number = ready(tool, clock, "standard_webhooks")
    tool.off[ANNA].add(TOPIC)
    local = clock().replace(tzinfo=None) - 9 * HOUR
    dates = {"naive": local.isoformat(), "zero": "1970-01-01T00:00:00Z"}
    post(number, standard(dates.get(act, (clock() - 20 * HOUR).isoformat())))
    ingest_stored(number, tool)
    assert decision()
    sync_for_a_day(number, tool, clock)
    assert tool.off[ANNA] == {TOPIC}
    assert lifts_of(tool) == 1


def test_an_implausible_date_is_kept_as_evidence(clock: Clock) -> None:  # I5
    number = add_destination("mailer", TOPIC)
    post(number, unsubscribe(timestamp=0))
    ingest_stored(number, TwoWayTool())
    row = run_in_transaction(
        lambda c: c.execute(
            f"SELECT occurred_at, evidence FROM {EVENT_WITH_EVIDENCE}".encode()
        ).fetchone()
    )
    assert row
    assert row[0] == clock()
    assert row[1]["implausible_date"] == "1970-01-01T00:00:00+00:00"


def listed(number: int, tool: TwoWayTool, at: datetime | None, target: str | None = TOPIC) -> None:
    reported = VendorEvent(VendorEventKind.OPTED_OUT, ANNA, target, at, id="listed", by_person=True)
    ingest(look(number), tool, [reported], is_full_list=True)


@pytest.mark.parametrize("target", [TOPIC, None], ids=["the topic", "all marketing"])
@pytest.mark.parametrize("pushed", [True, False], ids=["lifted there", "never off there"])
def test_no_lift_is_pushed_because_of_an_older_no_that_a_list_shows_later(
    target: str | None, clock: Clock, *, pushed: bool
) -> None:  # I5: the person's own yes is newer, so it decides; but the tool stays as it is
    tool = TwoWayTool()
    number = ready(tool, clock, pushed=pushed)
    tool.off[ANNA].add(TOPIC)
    listed(number, tool, clock() - 2 * DAY, target)
    assert decision() is None
    sync_for_a_day(number, tool, clock)
    assert TOPIC in tool.off[ANNA]
    assert TOPIC in state(ANNA, "turned_off")
    clock.advance(HOUR)
    say(EventKind.OPTED_IN)
    work(number, tool)
    assert TOPIC not in tool.off[ANNA]


def test_a_list_without_a_date_that_can_be_true_counts_from_when_it_was_read(
    clock: Clock,
) -> None:  # I5
    tool = TwoWayTool()
    number = ready(tool, clock)
    listed(number, tool, datetime.fromtimestamp(0, clock().tzinfo))
    assert decision()


def test_a_topics_lift_is_not_held_up_by_an_opt_out_to_another(clock: Clock) -> None:  # I5
    tool = TwoWayTool()
    number = ready(tool, clock)
    say(EventKind.OPTED_OUT)
    work(number, tool)
    clock.advance(HOUR)
    say(EventKind.OPTED_IN)
    listed(number, tool, clock(), OTHER)
    work(number, tool)
    assert TOPIC not in tool.off[ANNA]


def test_what_was_taken_back_holds_up_no_lift(clock: Clock) -> None:  # I5
    tool = TwoWayTool()
    number = ready(tool, clock)
    post(number, unsubscribe())
    ingest_stored(number, tool)
    tool.off[ANNA].add(TOPIC)
    last = run_in_transaction(
        lambda c: c.execute("SELECT id FROM event ORDER BY seq DESC LIMIT 1").fetchone()
    )
    assert last
    record([Retraction(uuid4(), (last[0],), clock(), "test", "test")])
    work(number, tool)
    assert tool.off[ANNA] == set()


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"type": "bounce", "bounce_classification": "Invalid Address"}, id="named"),
        pytest.param(
            {"type": "bounce", "status": "5.1.1", "reason": "550 No such user"}, id="code"
        ),
    ],
)
def test_a_bounce_is_no_older_than_an_opt_in_that_we_held_already(
    more: dict[str, Any], clock: Clock
) -> None:  # I5, I11: the simulation found it, with a tool that stamps its local time
    tool = TwoWayTool()
    number = ready(tool, clock)
    post(number, unsubscribe(event="bounce", timestamp=ago(7), **more))
    ingest_stored(number, tool)
    found = decision()
    assert found
    assert found.since == clock()
