"""What tools post: taken in once, and never thrown back and forth between two of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from unittest.mock import MagicMock, Mock
from uuid import UUID, uuid4

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import Change, EventKind
from preference_center.destinations import process
from preference_center.destinations.connect import LEASE_DURATION
from preference_center.destinations.push import sync
from preference_center.destinations.rules.states import DestinationStatus
from preference_center.destinations.store import listings, webhooks
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.job_queue import JobTimedOut
from preference_center.integrations.base.contract import DeliveryError, PushItem, PushOutcome
from preference_center.integrations.base.vendor_events import VendorEvent
from preference_center.integrations.registry import get_webhook_source
from preference_center.ledger import record
from tests.clock import Clock
from tests.destinations.ingest.steps import ingest_stored, post, unsubscribe
from tests.destinations.steps import ANNA, BO, TOPIC
from tests.destinations.two_way_tool import TwoWayTool, add_destination

pytestmark = pytest.mark.usefixtures("in_context")


@dataclass
class Talker(TwoWayTool):
    """Reports whatever happens in it by webhook, our own pushes included, without an id.

    It talks like SendGrid, whose parser its kind has, but as no SendGrid would.
    """

    number: int = 0
    number_posted: int = 0
    posts: list[dict[str, Any]] = field(default_factory=list)

    def apply(self, batch: Sequence[PushItem]) -> None:
        super().apply(batch)
        for item in batch:
            for topic in item.off:
                self.report("group_unsubscribe", item.address, topic)
            for topic in item.lift:
                self.report("group_resubscribe", item.address, topic)

    def report(self, event: str, address: str, topic: str) -> None:
        self.number_posted += 1
        row = {"event": event, "email": address, "asm_group_id": topic, "n": self.number_posted}
        self.posts.append(row)


def events() -> list[tuple[str, str]]:
    return run_in_transaction(
        lambda c: c.execute("SELECT kind, scope FROM event ORDER BY seq").fetchall()
    )


def outcomes() -> list[str]:
    rows = run_in_transaction(
        lambda c: c.execute("SELECT outcome FROM webhook_inbox ORDER BY id").fetchall()
    )
    return [row[0] for row in rows]


def test_what_a_person_did_in_the_tool_is_an_event_of_when_it_came(clock: Clock) -> None:
    number, came = add_destination("mailer", TOPIC), clock()
    post(number, unsubscribe())
    clock.advance(timedelta(hours=1))
    ingest_stored(number, TwoWayTool())
    rows = run_in_transaction(
        lambda c: c.execute("SELECT kind, source, actor, own, received_at FROM event").fetchall()
    )
    assert rows == [("opted_out", "destination", "mailer", False, came)]
    assert outcomes() == ["ingested"]


def test_the_same_act_reported_twice_is_one_event() -> None:
    number = add_destination("mailer", TOPIC)
    post(number, unsubscribe())
    post(number, unsubscribe(), unsubscribe(BO, "e2"))  # another body
    ingest_stored(number, TwoWayTool())
    assert len(events()) == 2


def test_a_tools_id_of_one_persons_act_is_no_other_persons() -> None:
    number = add_destination("mailer", TOPIC)
    post(number, unsubscribe(), unsubscribe(BO))  # forged, say, to be there first
    ingest_stored(number, TwoWayTool())
    assert len(events()) == 2


def test_the_same_body_is_kept_once() -> None:
    number = add_destination("mailer", TOPIC)
    assert [post(number, unsubscribe()), post(number, unsubscribe())] == [True, False]


def test_complaints_and_hard_bounces_count_and_soft_ones_do_not() -> None:
    number = add_destination("mailer", TOPIC)
    post(
        number,
        unsubscribe(act="1", event="spamreport"),
        unsubscribe(BO, "2", event="bounce", bounce_classification="Invalid Address"),
        unsubscribe("cy@example.com", "3", event="bounce", type="blocked"),
        unsubscribe("di@example.com", "4", event="delivered"),
    )
    ingest_stored(number, TwoWayTool())
    assert events() == [("complained", "all_marketing"), ("bounced", "undeliverable")]


def test_an_event_about_a_target_that_no_topic_maps_to_is_counted_and_can_be_replayed(
    clock: Clock,
) -> None:
    number = add_destination("mailer", TOPIC)
    post(number, unsubscribe(asm_group_id=4711))
    ingest_stored(number, TwoWayTool())
    assert events() == []
    assert run_in_transaction(lambda c: listings.load_stats(c, number)).unmapped == 1
    run_in_transaction(
        lambda c: c.execute(
            """UPDATE destination SET mapping = '{"acme.offers": "4711"}' WHERE id = %s""",
            (number,),
        )
    )
    assert (
        run_in_transaction(
            lambda c: webhooks.replay_webhooks(c, number, clock() - timedelta(days=1), clock())
        )
        == 1
    )
    ingest_stored(number, TwoWayTool())
    assert events() == [("opted_out", TOPIC)]


@pytest.mark.parametrize("status", list(DestinationStatus))
def test_it_counts_whatever_state_the_destination_is_in(status: DestinationStatus) -> None:  # I13
    number, tool = add_destination("mailer", TOPIC, status=status), TwoWayTool()
    post(number, unsubscribe())
    ingest_stored(number, tool)
    assert len(events()) == 1
    assert tool.pushes == []


def test_a_body_that_cannot_be_read_is_kept_and_holds_up_nothing() -> None:
    number = add_destination("mailer", TOPIC)
    context = services()
    run_in_transaction(
        lambda c: webhooks.insert_webhook(
            c, context.keys, UUID(int=1), number, b"<html>", context.now()
        )
    )
    post(number, unsubscribe())
    ingest_stored(number, TwoWayTool())
    assert outcomes() == ["unreadable", "ingested"]
    assert len(events()) == 1


def test_a_body_that_its_integration_fails_on_holds_up_nothing_and_is_tried_again(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:  # I1, I13
    number = add_destination("mailer", TOPIC)
    source = get_webhook_source("sendgrid")

    def fail_on_anna(body: bytes) -> Sequence[VendorEvent]:
        if ANNA.encode() in body:
            raise KeyError(ANNA)
        return source.parse(body)

    broken = MagicMock(spec=source, parse=fail_on_anna)
    post(number, unsubscribe())
    post(number, unsubscribe(BO, "e2"))
    with monkeypatch.context() as patch:
        patch.setattr(process, "get_webhook_source", lambda _: broken)
        ingest_stored(number, TwoWayTool())
    failed = "the connector failed on the tool's response (KeyError)"
    assert sorted(outcomes()) == ["ingested", failed]
    assert len(events()) == 1
    clock.advance(timedelta(minutes=6))
    ingest_stored(number, TwoWayTool())
    assert outcomes() == ["ingested"] * 2
    assert len(events()) == 2


def test_a_job_that_has_run_too_long_is_ended_amid_a_batch(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:  # its rows are another worker's, once the lease expires
    number = add_destination("mailer", TOPIC)
    late = MagicMock(spec=get_webhook_source("sendgrid"), parse=Mock(side_effect=JobTimedOut))
    post(number, unsubscribe())
    with monkeypatch.context() as patch:
        patch.setattr(process, "get_webhook_source", lambda _: late)
        with pytest.raises(JobTimedOut):
            ingest_stored(number, TwoWayTool())
    clock.advance(LEASE_DURATION)
    ingest_stored(number, TwoWayTool())
    assert outcomes() == ["ingested"]


def test_unknown_types_are_counted_next_to_what_is_known() -> None:
    number = add_destination("mailer", TOPIC)
    post(number, unsubscribe(), unsubscribe(BO, "e2", event="consent_given"))
    post(number, unsubscribe(BO, "e3", event="consent_given"), unsubscribe(event=ANNA))
    ingest_stored(number, TwoWayTool())
    assert events() == [("opted_out", TOPIC)]
    assert outcomes() == ["ingested"] * 2
    found = run_in_transaction(lambda c: webhooks.list_unknown_types(c, number))
    assert [(one.type, one.count) for one in found] == [("consent_given", 2), ("(no name)", 1)]


def test_only_so_many_names_of_unknown_types_are_kept(clock: Clock) -> None:
    number = add_destination("mailer", TOPIC)
    names = [f"type{n}" for n in range(webhooks.MAX_TYPES + 5)]
    for _ in range(2):
        run_in_transaction(
            lambda c: webhooks.count_unknown_types(c, number, Counter(names), clock())
        )
    found = {
        one.type: one.count
        for one in run_in_transaction(lambda c: webhooks.list_unknown_types(c, number))
    }
    assert len(found) == webhooks.MAX_TYPES + 1
    assert found[webhooks.OTHER_TYPES] == 10
    assert sum(found.values()) == 2 * len(names)


def test_many_bodies_are_taken_in_together_each_as_of_when_it_came(clock: Clock) -> None:
    number, came = add_destination("mailer", TOPIC), clock()
    post(number, unsubscribe())
    clock.advance(timedelta(minutes=1))
    post(number, unsubscribe(BO, "e2"))
    clock.advance(timedelta(minutes=1))
    assert ingest_stored(number, TwoWayTool()) == 2
    rows = run_in_transaction(
        lambda c: c.execute("SELECT received_at, recorded_at FROM event ORDER BY id").fetchall()
    )
    assert sorted(row[0] - came for row in rows) == [timedelta(), timedelta(minutes=1)]
    assert {row[1] for row in rows} == {clock()}


def test_of_what_is_long_little_is_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    number, context = add_destination("mailer", TOPIC), services()
    monkeypatch.setattr(webhooks, "MAX_CLAIMED_BYTES", 1_000)
    for act in range(4):
        post(number, unsubscribe(act=str(act), filler="x" * 400))

    def claim() -> int:
        now = context.now()
        later = now + timedelta(minutes=1)
        return len(
            run_in_transaction(
                lambda c: webhooks.claim_webhooks(
                    c, context.keys, number, now=now, until=later, limit=9
                )
            )
        )

    assert [claim() for _ in range(4)] == [2, 2, 0, 0]


def test_bodies_are_forgotten_after_a_week_once_taken_in(clock: Clock) -> None:  # I1
    number = add_destination("mailer", TOPIC)
    post(number, unsubscribe())
    ingest_stored(number, TwoWayTool())
    post(number, unsubscribe(BO, "e2"))
    clock.advance(webhooks.BODY_RETENTION + timedelta(seconds=1))
    run_in_transaction(lambda c: webhooks.purge_webhooks(c, clock()))
    assert outcomes() == [""]
    clock.advance(timedelta(days=400))
    run_in_transaction(lambda c: webhooks.purge_webhooks(c, clock()))
    assert outcomes() == [""]
    ingest_stored(number, TwoWayTool())
    run_in_transaction(lambda c: webhooks.purge_webhooks(c, clock()))
    assert outcomes() == []


def test_the_body_is_sealed() -> None:  # I12
    number = add_destination("mailer", TOPIC)
    post(number, unsubscribe())
    stored = run_in_transaction(
        lambda c: c.execute("SELECT body, body_digest FROM webhook_inbox").fetchone()
    )
    assert stored
    assert b"anna" not in stored[0] + stored[1]


def test_an_erased_contact_that_cannot_be_suppressed_now_is_tried_again(clock: Clock) -> None:
    number, tool = add_destination("mailer", TOPIC), TwoWayTool()
    _say(EventKind.OPTED_OUT)
    run_in_transaction(
        lambda c: c.execute("UPDATE address SET ciphertext = NULL, erased_at = now()")
    )
    run_in_transaction(lambda c: c.execute("DELETE FROM sync_state"))
    tool.add(ANNA)

    def fail(_: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        raise DeliveryError("busy")

    tool.before = fail
    post(number, unsubscribe(event="group_resubscribe"))
    ingest_stored(number, tool)
    assert outcomes() == ["busy"]
    tool.before = None
    clock.advance(timedelta(minutes=5))
    ingest_stored(number, tool)
    assert tool.off == {ANNA: {TOPIC}}


def _say(kind: EventKind, address: str = ANNA) -> None:
    now, who = services().now(), parse_address(address, Channel.EMAIL)
    record([Change(uuid4(), kind, who, TOPIC, now, now, "test", "test")])


class TestEcho:
    @pytest.fixture
    def tools(self) -> list[Talker]:
        tools = [Talker(number=add_destination(name, TOPIC)) for name in ("one", "two")]
        for tool in tools:
            tool.add(ANNA, BO)
        return tools

    def settle(self, tools: Sequence[Talker], clock: Clock) -> int:
        """Let them talk until nobody has anything to say; how many rounds it took."""
        for rounds in range(10):
            quiet = True
            for tool in tools:
                until = clock() + timedelta(seconds=5)
                pushed = sync(tool.number, tool.connect, until=until, stop=lambda: False)
                for row in tool.posts:
                    post(tool.number, row)
                tool.posts.clear()
                quiet = quiet and not (pushed + ingest_stored(tool.number, tool))
            if quiet:
                return rounds
            clock.advance(timedelta(minutes=1))
        raise AssertionError("they never stop")

    def test_our_opt_out_comes_back_from_both_and_makes_no_work(
        self, tools: list[Talker], clock: Clock
    ) -> None:
        _say(EventKind.OPTED_OUT)
        self.settle(tools, clock)
        assert len(events()) == 1
        assert [len(tool.pushes) for tool in tools] == [1, 1]

    def test_an_opt_out_made_in_one_reaches_the_other_and_is_not_pushed_back(
        self, tools: list[Talker], clock: Clock
    ) -> None:  # I13
        tools[0].opt_out(ANNA, TOPIC)
        tools[0].report("group_unsubscribe", ANNA, TOPIC)
        tools[0].posts[-1] |= {"sg_event_id": "e1", "timestamp": int(clock().timestamp())}
        self.settle(tools, clock)
        assert events() == [("opted_out", TOPIC)]
        assert [len(tool.pushes) for tool in tools] == [0, 1]
        assert tools[1].off[ANNA] == {TOPIC}

    def test_a_lift_comes_back_from_both_and_changes_nothing(
        self, tools: list[Talker], clock: Clock
    ) -> None:  # I5
        _say(EventKind.OPTED_OUT)
        self.settle(tools, clock)
        clock.advance(timedelta(hours=1))
        _say(EventKind.OPTED_IN)
        self.settle(tools, clock)
        assert [kind for kind, _ in events()] == ["opted_out", "opted_in"]
        assert [tool.off[ANNA] for tool in tools] == [set(), set()]
        assert [len(tool.pushes) for tool in tools] == [2, 2]

    def test_a_resubscribe_in_one_lifts_nothing_and_ends(
        self, tools: list[Talker], clock: Clock
    ) -> None:  # I5
        _say(EventKind.OPTED_OUT)
        self.settle(tools, clock)
        clock.advance(timedelta(hours=1))
        tools[0].off[ANNA].clear()
        tools[0].report("group_resubscribe", ANNA, TOPIC)
        self.settle(tools, clock)
        assert len(events()) == 1
        assert tools[0].off[ANNA] == {TOPIC}
        assert [len(tool.pushes) for tool in tools] == [2, 1]

    def test_an_opt_out_that_is_repeated_in_a_tool_is_in_the_ledger_too(
        self, tools: list[Talker], clock: Clock
    ) -> None:  # I5
        _say(EventKind.OPTED_OUT)
        self.settle(tools, clock)
        clock.advance(timedelta(hours=1))
        post(tools[0].number, unsubscribe())
        self.settle(tools, clock)
        assert events() == [("opted_out", TOPIC)] * 2
