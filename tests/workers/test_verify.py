"""Reading a tool: its own opt-outs come home, its contacts are suppressed, drift is mended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from flask import Flask

from preference_center.domain.addresses import Address, Channel, parse
from preference_center.domain.events import ALL_MARKETING, Change, Kind
from preference_center.domain.hashes import parse_hash
from preference_center.domain.news import News, NewsKind
from preference_center.extensions import services
from preference_center.ledger import record
from preference_center.ledger.backfilling import backfill
from preference_center.links import Link
from preference_center.storage import checks, destinations, verifying
from preference_center.storage.database import run
from preference_center.storage.destinations import Status
from preference_center.storage.facts import facts_for
from preference_center.storage.verifying import Part
from tests.clock import Clock
from tests.in_force import put_in_force
from tests.workers.two_ways import TwoWayTool, add_destination, look
from workers.connectors.base import DeliveryError, Item, Outcome, Page, Result
from workers.connectors.http import Rejected
from workers.connectors.pace import Paced
from workers.sync import sync
from workers.verify import PATIENCE, begin_listings, next_night, verify

TOPIC, OTHER = "acme.offers", "acme.news"
ANNA, BO, CY = "anna@example.com", "bo@example.com", "cy@example.com"


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    put_in_force(app)
    with app.app_context():
        yield


@pytest.fixture
def tool() -> TwoWayTool:
    return TwoWayTool()


@pytest.fixture
def destination() -> int:
    return add_destination("mailer", TOPIC, OTHER)


def person(address: str) -> Address:
    return parse(address, Channel.EMAIL)


def say(kind: Kind, address: str = ANNA, scope: str = TOPIC, **given: Any) -> None:
    now = services().now()
    record([Change(uuid4(), kind, person(address), scope, now, now, "test", "test", **given)])


def read(destination: int, tool: TwoWayTool, *parts: Part) -> None:
    """Read these listings until nothing of them is due, or all."""
    _begin(destination)
    for part in parts or tuple(Part):
        until = services().now() + timedelta(seconds=5)
        verify(destination, part, tool.connect, until=until, stop=lambda: False)


def _begin(destination: int) -> None:
    now = services().now()
    run(lambda c: verifying.begin(c, destination, list(Part), now))


def work(destination: int, tool: TwoWayTool) -> int:
    until = services().now() + timedelta(seconds=5)
    return sync(destination, tool.connect, until=until, stop=lambda: False)


def events() -> list[tuple[Any, ...]]:
    return run(
        lambda c: c.execute(
            "SELECT kind, scope, source, actor, own FROM event ORDER BY seq"
        ).fetchall()
    )


def outcomes(address: str) -> list[str]:
    digest = services().keys.exact(person(address))
    rows = run(
        lambda c: c.execute(
            """SELECT d.outcome FROM delivery d JOIN address a ON a.id = d.address_id
            WHERE a.digest = %s ORDER BY d.id""",
            (digest,),
        ).fetchall()
    )
    return [row[0] for row in rows]


def tally(destination: int) -> verifying.Tally:
    return run(lambda c: verifying.tally(c, destination))


class TestPulling:
    def test_an_opt_out_made_in_the_tool_becomes_an_event(
        self, destination: int, tool: TwoWayTool
    ) -> None:  # I13
        tool.opt_out(ANNA, TOPIC)
        read(destination, tool, Part.PULL)
        assert events() == [("opted_out", TOPIC, "destination", "mailer", False)]

    def test_what_the_tool_says_itself_is_not_pushed_to_it(
        self, destination: int, tool: TwoWayTool
    ) -> None:
        tool.opt_out(ANNA, TOPIC)
        read(destination, tool, Part.PULL)
        work(destination, tool)
        assert tool.pushes == []
        assert outcomes(ANNA) == [Result.REFLECTED]

    def test_it_reaches_the_other_tools(self, destination: int, tool: TwoWayTool) -> None:
        other, crm = add_destination("crm", TOPIC), TwoWayTool()
        crm.add(ANNA)
        tool.opt_out(ANNA, TOPIC)
        read(destination, tool, Part.PULL)
        read(other, crm, Part.PULL)
        work(other, crm)
        assert crm.off[ANNA] == {TOPIC}

    def test_the_back_fill_waits_for_it_and_live_opt_outs_do_not(
        self, tool: TwoWayTool
    ) -> None:  # I3
        say(Kind.OPTED_OUT, BO)
        destination = add_destination("mailer", TOPIC)
        backfill(destination)
        tool.add(ANNA, BO)
        say(Kind.OPTED_OUT, ANNA)
        work(destination, tool)
        assert tool.off == {ANNA: {TOPIC}}
        read(destination, tool, Part.PULL)
        work(destination, tool)
        assert tool.off == {ANNA: {TOPIC}, BO: {TOPIC}}

    def test_a_back_fill_does_not_wait_for_ever(
        self, tool: TwoWayTool, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # I3
        say(Kind.OPTED_OUT, BO)
        destination = add_destination("mailer", TOPIC)
        backfill(destination)
        tool.add(BO)
        _refuse(tool, monkeypatch, "pull", DeliveryError("no right to list"))
        read(destination, tool, Part.PULL)
        clock.advance(PATIENCE + timedelta(hours=1))
        read(destination, tool, Part.PULL)
        work(destination, tool)
        assert tool.off == {BO: {TOPIC}}

    def test_it_goes_on_where_it_was_stopped(self, destination: int, tool: TwoWayTool) -> None:
        for number in range(8):
            tool.opt_out(f"p{number}@example.com", TOPIC)
        _begin(destination)
        answers = iter([False, True])
        until = services().now() + timedelta(seconds=5)
        verify(destination, Part.PULL, tool.connect, until=until, stop=lambda: next(answers))
        assert len(events()) == 3
        read(destination, tool, Part.PULL)
        assert len(events()) == 8

    def test_a_page_whose_worker_lost_its_lease_leaves_nothing(
        self, destination: int, tool: TwoWayTool, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tool.opt_out(ANNA, TOPIC)
        pull = TwoWayTool.pull

        def slow(self: TwoWayTool, cursor: str | None) -> Page[News]:
            page = pull(self, cursor)
            monkeypatch.setattr(TwoWayTool, "pull", pull)
            clock.advance(timedelta(minutes=2))
            read(destination, tool, Part.PULL)  # another worker
            return page

        monkeypatch.setattr(TwoWayTool, "pull", slow)
        read(destination, tool, Part.PULL)
        assert len(events()) == 1
        assert tally(destination).news == 1

    def test_our_own_push_is_no_news(self, destination: int, tool: TwoWayTool) -> None:
        tool.add(ANNA)
        say(Kind.OPTED_OUT, ANNA)
        work(destination, tool)
        read(destination, tool, Part.PULL)
        assert len(events()) == 1
        assert work(destination, tool) == 0

    def test_our_own_push_is_no_news_after_the_person_has_lifted_it(
        self, destination: int, tool: TwoWayTool, clock: Clock
    ) -> None:  # I5
        tool.add(ANNA)
        say(Kind.OPTED_OUT, ANNA)
        work(destination, tool)
        clock.advance(timedelta(minutes=1))
        say(Kind.OPTED_IN, ANNA)
        work(destination, tool)
        clock.advance(timedelta(minutes=1))
        read(destination, tool, Part.PULL)
        assert [event[0] for event in events()] == ["opted_out", "opted_in"]

    def test_a_second_no_in_the_tool_counts_after_a_lift(
        self, destination: int, tool: TwoWayTool, clock: Clock
    ) -> None:  # I13
        tool.opt_out(ANNA, TOPIC)
        read(destination, tool, Part.PULL)
        clock.advance(timedelta(hours=1))
        say(Kind.OPTED_IN, ANNA)
        work(destination, tool)
        assert tool.off[ANNA] == set()
        clock.advance(timedelta(hours=1))
        tool.opt_out(ANNA, TOPIC)
        read(destination, tool, Part.PULL)
        assert [event[0] for event in events()] == ["opted_out", "opted_in", "opted_out"]

    @pytest.mark.parametrize("status", [Status.OBSERVE, Status.PAUSED])
    def test_nothing_is_read_before_it_is_resumed(self, tool: TwoWayTool, status: Status) -> None:
        destination = add_destination("mailer", TOPIC, status=status)
        tool.opt_out(ANNA, TOPIC)
        read(destination, tool)
        assert events() == []

    def test_a_listing_that_is_refused_stops_no_push(
        self, destination: int, tool: TwoWayTool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tool.add(ANNA)
        refusal = DeliveryError("no right to list", permanent=True)
        _refuse(tool, monkeypatch, "scan", refusal)
        read(destination, tool, Part.SCAN)
        say(Kind.OPTED_OUT, ANNA)
        assert work(destination, tool) == 1
        (scan,) = [p for p in _progress(destination) if p.part is Part.SCAN]
        assert scan.reason == "no right to list"

    def test_a_cursor_that_is_not_taken_any_more_is_given_up(
        self, destination: int, tool: TwoWayTool, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tool.opt_out(ANNA, TOPIC)
        read(destination, tool, Part.PULL)
        cursors = []

        def pull(_: TwoWayTool, cursor: str | None) -> Page[News]:
            cursors.append(cursor)
            if cursor is not None:
                raise Rejected("that cursor is too old", 400)
            return Page((), "1", done=True)

        monkeypatch.setattr(TwoWayTool, "pull", pull)
        for _ in range(4):
            clock.advance(timedelta(hours=1))
            read(destination, tool, Part.PULL)
        assert cursors == ["1", "1", "1", None]


def _refuse(tool: TwoWayTool, monkeypatch: pytest.MonkeyPatch, name: str, error: Exception) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(type(tool), name, refuse)


def _progress(destination: int) -> list[verifying.Progress]:
    return run(lambda c: verifying.progress(c, destination))


class TestScanning:
    def test_a_contact_that_comes_after_its_no_is_suppressed(
        self, destination: int, tool: TwoWayTool, clock: Clock
    ) -> None:  # I13
        say(Kind.OPTED_OUT, ANNA)
        work(destination, tool)
        assert outcomes(ANNA) == [Result.ABSENT]
        clock.advance(timedelta(minutes=20))
        tool.add(ANNA)
        read(destination, tool, Part.SCAN)
        work(destination, tool)
        assert tool.off[ANNA] == {TOPIC}
        assert outcomes(ANNA) == [Result.ABSENT, Result.REFLECTED]
        assert tally(destination).raised == 1

    def test_another_form_of_the_mailbox_is_suppressed(
        self, destination: int, tool: TwoWayTool
    ) -> None:  # I9
        say(Kind.OPTED_OUT, ANNA, ALL_MARKETING)
        tool.add("anna+shop@example.com")
        read(destination, tool, Part.SCAN)
        work(destination, tool)
        assert tool.off["anna+shop@example.com"] == {TOPIC, OTHER}

    def test_a_no_of_which_only_a_digest_is_known_is_pushed_once_the_scan_reveals_it(
        self, destination: int, tool: TwoWayTool
    ) -> None:  # I6, I9
        import hashlib

        now, hashed = services().now(), hashlib.sha256(ANNA.encode()).hexdigest()
        who = parse_hash(hashed, Channel.EMAIL)
        record([Change(uuid4(), Kind.OPTED_OUT, who, TOPIC, now, now, "test", "test")])
        tool.add(ANNA, BO)
        read(destination, tool, Part.SCAN)
        work(destination, tool)
        assert tool.off == {ANNA: {TOPIC}}

    def test_somebody_erased_is_suppressed_and_stays_unreadable(
        self, destination: int, tool: TwoWayTool
    ) -> None:  # I6
        say(Kind.OPTED_OUT, ANNA)
        work(destination, tool)
        run(lambda c: c.execute("UPDATE address SET ciphertext = NULL, erased_at = now()"))
        tool.add(ANNA)
        read(destination, tool, Part.SCAN)
        assert tool.off == {ANNA: {TOPIC}}
        left = run(lambda c: c.execute("SELECT ciphertext FROM address").fetchall())
        assert left == [(None,)]
        assert outcomes(ANNA)[-1] == Result.REFLECTED

    def test_who_has_said_nothing_is_not_stored(self, destination: int, tool: TwoWayTool) -> None:
        tool.add(ANNA, "no address")
        read(destination, tool, Part.SCAN)
        assert run(lambda c: c.execute("SELECT FROM address").fetchall()) == []
        assert (tally(destination).contacts, tally(destination).unreadable) == (1, 1)

    def test_our_own_change_of_a_contact_makes_no_more_work(
        self, destination: int, tool: TwoWayTool, clock: Clock
    ) -> None:
        tool.add(ANNA)
        say(Kind.OPTED_OUT, ANNA)
        for _ in range(4):
            read(destination, tool)
            work(destination, tool)
            clock.advance(timedelta(minutes=6))
        assert len(tool.pushes) == 1

    def test_contacts_get_their_standing_link_once(self, tool: TwoWayTool, clock: Clock) -> None:
        destination = add_destination("mailer", TOPIC, link_field="choices")
        tool.add(ANNA, BO)
        for _ in range(3):
            read(destination, tool, Part.SCAN)
            clock.advance(timedelta(minutes=6))
        assert tally(destination).links == 2
        token = tool.contacts[ANNA].rpartition("/")[2]
        link = services().links.read(token, clock())
        assert link == Link(person(ANNA), TOPIC, "", link.issued_at, "l1", destination=destination)


class TestReadingBack:
    def test_a_missing_opt_out_is_flagged_repaired_and_counted(
        self, destination: int, tool: TwoWayTool, clock: Clock
    ) -> None:  # I13
        tool.add(ANNA)
        tool.forgets.add(ANNA)
        say(Kind.OPTED_OUT, ANNA)
        work(destination, tool)
        tool.forgets.clear()
        clock.advance(checks.RECHECK)
        read(destination, tool, Part.READ)
        assert tally(destination).drift == 1
        assert _state(ANNA, "outcome") == "drift"
        work(destination, tool)
        assert tool.off[ANNA] == {TOPIC}
        assert outcomes(ANNA) == [Result.REFLECTED, "drift", Result.REFLECTED]

    def test_a_tool_that_never_keeps_it_is_looked_at_less_and_less_often(
        self, destination: int, tool: TwoWayTool, clock: Clock
    ) -> None:
        tool.add(ANNA)
        tool.forgets.add(ANNA)
        say(Kind.OPTED_OUT, ANNA)
        for _ in range(3):
            work(destination, tool)
            clock.advance(checks.RECHECK)
            read(destination, tool, Part.READ)
        assert tally(destination).drift == 1
        clock.advance(checks.RECHECK * 4)
        read(destination, tool, Part.READ)
        assert tally(destination).drift == 2

    def test_what_is_in_order_is_left_alone(
        self, destination: int, tool: TwoWayTool, clock: Clock
    ) -> None:
        tool.add(ANNA)
        say(Kind.OPTED_OUT, ANNA)
        work(destination, tool)
        clock.advance(checks.RECHECK)
        read(destination, tool, Part.READ)
        assert (tally(destination).checked, tally(destination).drift) == (1, 0)
        assert _state(ANNA, "verify_at") is None
        assert work(destination, tool) == 0

    def test_settled_rows_are_sampled(
        self, destination: int, tool: TwoWayTool, clock: Clock
    ) -> None:
        tool.add(ANNA)
        say(Kind.OPTED_OUT, ANNA)
        work(destination, tool)
        run(lambda c: c.execute("UPDATE sync_state SET verify_at = NULL"))
        clock.advance(timedelta(hours=1))
        run(lambda c: checks.sample(c, destination, at=0.0, limit=5, now=clock()))
        read(destination, tool, Part.READ)
        assert tool.reads == [[ANNA]]

    def test_an_opt_out_too_many_is_news_and_is_not_undone(
        self, destination: int, tool: TwoWayTool, clock: Clock
    ) -> None:  # I13
        tool.add(ANNA)
        say(Kind.OPTED_OUT, ANNA)
        work(destination, tool)
        tool.off[ANNA].add(OTHER)
        clock.advance(timedelta(hours=1))
        read(destination, tool, Part.READ)
        work(destination, tool)
        assert tool.off[ANNA] == {TOPIC, OTHER}
        assert events()[-1][:2] == ("opted_out", OTHER)

    def test_an_absent_address_is_looked_for_again(
        self, destination: int, tool: TwoWayTool, clock: Clock
    ) -> None:
        say(Kind.OPTED_OUT, ANNA)
        work(destination, tool)
        tool.contacts[ANNA] = ""  # no scan has seen it
        clock.advance(timedelta(days=30))
        read(destination, tool, Part.READ)
        work(destination, tool)
        assert tool.off[ANNA] == {TOPIC}
        assert tally(destination).drift == 0


def _state(address: str, column: str) -> Any:
    digest = services().keys.exact(person(address))
    rows = run(
        lambda c: c.execute(
            f"""SELECT s.{column} FROM sync_state s JOIN address a ON a.id = s.address_id
            WHERE a.digest = %s""",
            (digest,),
        ).fetchall()
    )
    return rows[0][0]


def test_sweeps_begin_at_night_where_the_company_is() -> None:
    rome = ZoneInfo("Europe/Rome")
    noon = datetime(2026, 11, 25, 12, tzinfo=UTC)
    assert next_night(noon, rome) == datetime(2026, 11, 26, 1, tzinfo=UTC)
    summer = datetime(2026, 7, 1, 23, 30, tzinfo=UTC)
    assert next_night(summer, rome) == datetime(2026, 7, 2, 0, tzinfo=UTC)


def test_a_resubscribe_in_the_tool_lifts_nothing_and_is_taken_back(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:  # I5
    from workers.taking import take_in

    tool.add(ANNA)
    say(Kind.OPTED_OUT, ANNA)
    work(destination, tool)
    clock.advance(timedelta(hours=1))
    tool.off[ANNA].clear()
    news = News(NewsKind.RESUBSCRIBED, ANNA, TOPIC, at=clock(), by_person=True)
    take_in(look(destination), tool, [news])
    work(destination, tool)
    assert tool.off[ANNA] == {TOPIC}
    assert len(facts_for([person(ANNA)])[0]) == 1


class DeafTool(TwoWayTool):
    """Says nothing of itself: only pushing shows what it knows."""

    capabilities = replace(
        TwoWayTool.capabilities, can_read=False, scans=None, pulls=None, can_hold_link=False
    )


def test_where_nothing_can_be_read_an_absent_address_is_pushed_again_ever_less_often(
    destination: int, clock: Clock
) -> None:
    tool = DeafTool()
    say(Kind.OPTED_OUT, ANNA)
    run(lambda c: destinations.pulled(c, destination, clock()))
    for days in (0, 1, 2, 4):
        clock.advance(timedelta(days=days))
        read(destination, tool, Part.READ)
        work(destination, tool)
        assert outcomes(ANNA)[-1] == Result.ABSENT
    assert len(tool.pushes) == 4
    clock.advance(timedelta(days=7))
    read(destination, tool, Part.READ)
    assert work(destination, tool) == 0
    tool.contacts[ANNA] = ""
    clock.advance(timedelta(days=1))
    read(destination, tool, Part.READ)
    work(destination, tool)
    assert tool.off[ANNA] == {TOPIC}


def test_a_rate_limit_that_is_used_up_is_no_failure_of_the_tool(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:
    say(Kind.OPTED_OUT, ANNA)
    tool.add(ANNA)

    def wait(_: Sequence[Item]) -> Mapping[int, Outcome]:
        raise Paced("kept to its rate limit", retry_after=timedelta(seconds=100))

    tool.before = wait
    due = _state(ANNA, "due_at")
    assert work(destination, tool) == 0
    assert look(destination).failures == 0
    assert look(destination).retry_at == clock() + timedelta(seconds=100)
    assert (_state(ANNA, "attempts"), _state(ANNA, "due_at")) == (0, due)
    tool.before = None
    clock.advance(timedelta(seconds=100))
    assert work(destination, tool) == 1
    assert look(destination).retry_at is None


def test_a_listing_keeps_to_the_limit_too(
    destination: int, tool: TwoWayTool, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refuse(tool, monkeypatch, "pull", Paced("later", retry_after=timedelta(seconds=50)))
    read(destination, tool, Part.PULL)
    (pull,) = [p for p in _progress(destination) if p.part is Part.PULL]
    assert (pull.next_at, pull.reason) == (clock() + timedelta(seconds=50), "")


def test_active_destinations_are_read_by_what_their_connector_can(clock: Clock) -> None:
    number = add_destination("mailer", TOPIC)
    begin_listings(clock())
    assert {p.part for p in _progress(number)} == set(Part)
    assert set(run(lambda c: verifying.due(c, clock()))) == {(number, part) for part in Part}
