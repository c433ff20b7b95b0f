"""What one person chooses reaches every tool, by the tools' own data.

The page, the ledger, the sync and the reading are those of the service; so are the
connectors. Each tool is asked, and acted in, by its own API and not by our connector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import Change, EventKind
from preference_center.core.links.tokens import Link
from preference_center.destinations.connect import Lease
from preference_center.destinations.push import sync
from preference_center.destinations.rules.states import Destination, DestinationStatus
from preference_center.destinations.scan import verify
from preference_center.destinations.store import destinations, listings
from preference_center.destinations.store.listings import ListingKind
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.integrations.base.contract import Connector, DestinationConfig
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.registry import make_connector
from preference_center.ledger import record
from tests.clock import Clock
from tests.in_force import put_in_force
from tests.real.conftest import STARTS, Start, hindrance
from tests.real.tools.running import NEWS, OFFERS, RealTool

ANNA, BO, CY = "anna@example.com", "bo@example.com", "cy@example.com"
ODD = "b'c+d@example.com"
SOON = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _context(start: Start, app: Flask) -> Iterator[None]:
    put_in_force(app)
    with app.app_context():
        yield


@pytest.fixture
def opt_out(client: FlaskClient, clock: Clock) -> Callable[[str, str], None]:
    """`opt_out(address, topic)`: what a mail client does with our link."""

    def click(address: str, topic: str) -> None:
        link = Link(parse_address(address, Channel.EMAIL), topic, str(uuid4()), clock())
        token = services().links.create_token(link)
        answer = client.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200

    return click


def connect(destination: Destination, lease: Lease | None = None) -> Connector:
    setup = DestinationConfig(destination.name, destination.settings, destination.mapping)
    # By the clock of the machine, as the tools have it: Ghost takes no older token.
    http = HttpContext(lease_valid=lease or (lambda: True), allow_private=True)
    return make_connector(destination.kind, setup, http)


def add(tool: RealTool) -> int:
    """Connect a tool. Its own opt-outs are not read yet."""

    def work(connection: Connection) -> int:
        number = destinations.insert_destination(
            connection,
            services().keys,
            name=tool.kind,
            kind=tool.kind,
            settings=tool.settings,
            channels=frozenset({Channel.EMAIL}),
            mapping=tool.mapping,
            sends=frozenset(tool.mapping),
            sends_service=False,
            wait_for_pull=False,
            now=services().now(),
        )
        destinations.set_status(connection, number, DestinationStatus.ACTIVE)
        return number

    return run_in_transaction(work)


def push(destination: int) -> None:
    sync(destination, connect, until=services().now() + SOON, stop=lambda: False)


def read(destination: int, *parts: ListingKind) -> None:
    now = services().now()
    run_in_transaction(lambda c: listings.schedule_listings(c, destination, list(parts), now))
    for part in parts:
        verify(destination, part, connect, until=now + SOON, stop=lambda: False)


def failures(destination: int) -> list[str]:
    return [
        each.reason for each in run_in_transaction(lambda c: listings.list_progress(c, destination))
    ]


@pytest.mark.parametrize("address", [ANNA, ODD])
def test_an_opt_out_on_our_page_is_read_back_from_the_tool(
    tool: RealTool, opt_out: Callable[[str, str], None], clock: Clock, address: str
) -> None:
    tool.add(address, BO)
    destination = add(tool)
    opt_out(address, NEWS)
    push(destination)
    assert tool.off(address) == {NEWS}
    assert tool.off(BO) == set()

    opt_out(address, OFFERS)
    push(destination)
    push(destination)
    assert tool.off(address) == {NEWS, OFFERS}


def test_a_persons_own_newer_opt_in_turns_only_that_topic_on_again(
    tool: RealTool, opt_out: Callable[[str, str], None], clock: Clock
) -> None:  # I5
    tool.add(ANNA)
    destination = add(tool)
    for topic in (NEWS, OFFERS):
        opt_out(ANNA, topic)
    push(destination)
    now = clock.advance(timedelta(minutes=1))
    person = parse_address(ANNA, Channel.EMAIL)
    record([Change(uuid4(), EventKind.OPTED_IN, person, NEWS, now, now, "test", "test")])
    push(destination)
    assert tool.off(ANNA) == {OFFERS}


@pytest.mark.parametrize("name", STARTS)
def test_an_opt_out_made_in_one_tool_reaches_the_others(
    start: Start, name: str, clock: Clock
) -> None:  # I13
    tools = {each: start(each) for each in STARTS if each == name or not hindrance(each)}
    for tool in tools.values():
        tool.forget()
        tool.add(ANNA, BO)
    numbers = {each: add(tool) for each, tool in tools.items()}

    tools[name].turn_off(ANNA, OFFERS)
    read(numbers[name], ListingKind.PULL)
    for number in numbers.values():
        push(number)
    # What comes of a list reaches SES by its scan, or singly after it.
    read(numbers["moto"], ListingKind.SCAN)
    clock.advance(SOON)
    push(numbers["moto"])
    assert {each: tool.off(ANNA) for each, tool in tools.items()} == {
        each: {OFFERS} for each in tools
    }
    assert all(tool.off(BO) == set() for tool in tools.values())


def test_a_contact_that_is_imported_after_its_opt_out_is_suppressed_there(
    tool: RealTool, opt_out: Callable[[str, str], None], clock: Clock
) -> None:  # I13
    destination = add(tool)
    opt_out(ANNA, NEWS)
    push(destination)
    assert tool.off(ANNA) is None, "nobody is created for an opt-out"

    clock.advance(SOON)
    tool.add(ANNA, CY)
    assert tool.off(ANNA) == set()
    read(destination, ListingKind.SCAN, ListingKind.READ)
    push(destination)
    assert tool.off(ANNA) == {NEWS}
    assert tool.off(CY) == set()
    assert set(failures(destination)) == {""}


@pytest.mark.parametrize(
    "name", ["mailman", "tryton", "listmonk", "ghost"]
)  # moto: no suppression list
def test_a_connector_finds_no_fault_in_the_tool(start: Start, name: str) -> None:
    tool = start(name)
    report = make_connector(
        tool.kind,
        DestinationConfig(name, tool.settings, tool.mapping),
        HttpContext(allow_private=True),
    ).check()
    assert report.problems == ()
    assert report.unmapped_targets == ()
