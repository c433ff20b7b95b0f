"""The window holds while a tool misbehaves for days, and shouts when it can't (I3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import cycle
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.deadlines import WINDOW
from preference_center.core.events import Change, EventKind
from preference_center.destinations.push import sync
from preference_center.destinations.rules.states import Destination, DestinationStatus
from preference_center.destinations.store import destinations, states
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.integrations.base.contract import Connector, DestinationConfig
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.registry import make_connector
from preference_center.ledger import record
from tests.clock import START, Clock
from tests.integrations.rig import PATIENT
from tests.integrations.tools.in_process import InProcess
from tests.integrations.tools.sendgrid import KEY, SendGridStandIn
from tests.integrations.tools.stand_in import Fault

JANE = "jane@example.com"
ABSURD = {"Retry-After": "360000"}  # 100 hours
TOPICS = {"acme.offers": "12", "acme.news": "11"}


pytestmark = pytest.mark.usefixtures("in_context")


@dataclass(frozen=True, slots=True)
class World:
    """A SendGrid account, and days that pass as quickly as they can be computed."""

    tool: SendGridStandIn
    clock: Clock

    def connect(self, destination: Destination, alive: Callable[[], bool]) -> Connector:
        settings = {**destination.settings, "base_url": self.tool.url}
        setup = DestinationConfig(destination.name, settings, destination.mapping)
        http = HttpContext(
            lease_valid=alive,
            now=self.clock,
            timeouts=PATIENT,
            allow_private=True,
            network=InProcess,  # where nobody waits for a silent tool
        )
        return make_connector("sendgrid", setup, http)

    def pass_until(
        self, moment: datetime, *, every: timedelta, before_look: Callable[[], None] = lambda: None
    ) -> None:
        """Let the scheduler look once `every`; `before_look` is called before each look."""
        while self.clock() < moment:
            before_look()
            for number in run_in_transaction(
                lambda c: states.count_due_by_destination(c, self.clock())
            ):
                until = self.clock() + timedelta(seconds=5)
                sync(number, self.connect, until=until, stop=lambda: False)
            self.clock.advance(every)

    def delivered(self, address: str = JANE) -> bool:
        return all(address in self.tool.held[int(group)] for group in TOPICS.values())


@pytest.fixture
def world(clock: Clock) -> Iterator[World]:
    context = services()

    def add(connection: Connection) -> None:
        number = destinations.insert_destination(
            connection,
            context.keys,
            name="mailer",
            kind="sendgrid",
            settings={"api_key": KEY},
            channels=frozenset({Channel.EMAIL}),
            mapping=TOPICS,
            sends=frozenset(TOPICS),
            sends_service=True,
            now=context.now(),
        )
        destinations.set_status(connection, number, DestinationStatus.ACTIVE)

    run_in_transaction(add)
    with SendGridStandIn() as tool:
        yield World(tool, clock)


def opt_out(address: str = JANE) -> None:
    now = services().now()
    person = parse_address(address, Channel.EMAIL)
    record(
        [Change(uuid4(), EventKind.OPTED_OUT, person, "all_marketing", now, now, "test", "test")]
    )


def pending() -> int:
    (row,) = run_in_transaction(
        lambda c: c.execute("SELECT count(due_at) FROM sync_state").fetchall()
    )
    return int(row[0])


WAYS = {
    "internal errors": (Fault(500), 5),
    "an absurd Retry-After": (Fault(429, ABSURD), 5),
    "a Retry-After of nonsense": (Fault(429, {"Retry-After": "soon"}), 5),
    "garbage": (Fault(200, body="<html>It works!"), 5),
    "garbage in place of the last answer": (Fault(200, body='{"n": 1}', after=1), 5),
    "silence": (Fault(hang=True), 15),
    # One topic is taken and the other is not, so the row waits rather than the tool.
    "half a push, with an absurd Retry-After": (Fault(503, ABSURD, after=2), 5),
}


@pytest.mark.parametrize("way", WAYS)
def test_seventy_bad_hours_end_in_time(world: World, way: str) -> None:  # I3
    fault, minutes = WAYS[way]
    opt_out()
    bad_until, due_at = START + timedelta(hours=70), START + WINDOW

    def misbehave() -> None:
        world.tool._faults.clear()
        world.tool.fail(*[fault] * 20)  # however often one look asks

    world.pass_until(bad_until, every=timedelta(minutes=minutes), before_look=misbehave)
    assert not world.delivered()
    assert pending() == 1

    world.tool._faults.clear()
    world.pass_until(due_at, every=timedelta(minutes=minutes))
    assert world.delivered()
    assert pending() == 0


def test_seventy_hours_of_everything_at_once_hold_up_none_of_many(world: World) -> None:  # I3
    people = [f"person-{number}@example.com" for number in range(60)]
    faults = cycle([Fault(500), Fault(429, ABSURD), Fault(200, body="?"), Fault(503, after=2)])
    for person in people:
        opt_out(person)

    def misbehave() -> None:
        world.tool._faults.clear()
        world.tool.fail(*[next(faults)] * 20)

    world.pass_until(START + timedelta(hours=70), every=timedelta(minutes=5), before_look=misbehave)
    assert pending() == len(people)
    assert len(world.tool.seen) > 50
    world.tool._faults.clear()
    world.pass_until(START + WINDOW, every=timedelta(minutes=5))

    assert [person for person in people if not world.delivered(person)] == []
    assert pending() == 0


def test_eighty_bad_hours_are_shouted_about_in_three_stages(
    world: World, app: Flask, client: FlaskClient
) -> None:  # I3
    def window() -> tuple[str, list[tuple[str, str, int]]]:
        answer = client.get("/healthz")
        assert answer.status_code == 200
        assert answer.json
        late = [
            (each["destination"], each["stage"], each["pending"]) for each in answer.json["late"]
        ]
        return answer.json["window"], late

    def misbehave() -> None:
        world.tool._faults.clear()
        world.tool.fail(Fault(500))

    def until(**after: float) -> None:
        world.pass_until(
            START + timedelta(**after), every=timedelta(minutes=5), before_look=misbehave
        )

    opt_out()
    until(hours=35, minutes=55)
    assert window() == ("on_time", [])
    for hours, stage in ((36, "at_risk"), (48, "past_target"), (72, "overdue")):
        until(hours=hours)
        assert window() == (stage, [("mailer", stage, 1)])
        shown = app.test_cli_runner().invoke(args=["destinations", "list"]).stdout
        assert "broken" in shown
        assert "mailer: GET /v3/asm/groups: HTTP 500" in shown
    until(hours=80)
    assert not world.delivered()

    world.tool._faults.clear()
    world.pass_until(START + timedelta(hours=80, minutes=15), every=timedelta(minutes=1))
    assert world.delivered()
    assert window() == ("on_time", [])
