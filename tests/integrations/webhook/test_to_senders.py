"""A sender's own receiver, which docs/webhook.md names, behind the real sync on PostgreSQL."""

from __future__ import annotations

import runpy
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import ALL_MARKETING, Change, EventKind
from preference_center.destinations.erase import erase_due
from preference_center.destinations.push import sync
from preference_center.destinations.rules.states import Destination, DestinationStatus
from preference_center.destinations.store import destinations
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.integrations.base.contract import Connector, DestinationConfig
from preference_center.integrations.base.http import HttpContext, utc_now
from preference_center.integrations.registry import make_connector
from preference_center.ledger import record
from preference_center.ledger.rules import ConsentEvidence
from preference_center.rights.erasure.come_back import return_after_erasure
from preference_center.rights.rules.requests import Extent
from tests.clock import Clock
from tests.integrations.tools.receiver import SECRET, Receiver
from tests.rights.erasing import erase, origin, rows

if TYPE_CHECKING:
    from flask.testing import FlaskClient

DAY = timedelta(days=1)
JANE = parse_address("jane@example.com", Channel.EMAIL)
TOPICS = frozenset({"acme.news", "acme.offers"})


pytestmark = pytest.mark.usefixtures("in_context")


@pytest.fixture
def server() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def deliver(server: Receiver) -> Callable[[], None]:
    """Bring the sender to the latest state."""

    def add(connection: Connection) -> int:
        number = destinations.insert_destination(
            connection,
            services().keys,
            name="shop",
            kind="webhook",
            settings={"url": f"{server.url}/hooks", "secret": SECRET},
            channels=frozenset({Channel.EMAIL}),
            mapping={},
            sends=TOPICS,
            sends_service=False,
            now=services().now(),
        )
        destinations.set_status(connection, number, DestinationStatus.ACTIVE)
        return number

    def connect(destination: Destination, alive: Callable[[], bool]) -> Connector:
        http = HttpContext(
            lease_valid=alive, now=utc_now, allow_private=True
        )  # verifiers have real clocks
        return make_connector(
            "webhook", DestinationConfig(destination.name, destination.settings), http
        )

    destination = run_in_transaction(add)

    def work() -> None:
        until = services().now() + DAY
        sync(destination, connect, until=until, stop=lambda: False)
        erase_due(destination, connect, until=until, stop=lambda: False)

    return work


def say(kind: EventKind, scope: str, **given: Any) -> UUID:
    now, name = services().now(), uuid4()
    record([Change(name, kind, JANE, scope, now, now, "test", "test", **given)])
    return name


def reported(server: Receiver) -> dict[str, Any]:
    (item,) = server.payloads[-1]["data"]["items"]
    return dict(item)


def test_a_sender_is_sent_what_is_off_and_why(
    server: Receiver, deliver: Callable[[], None]
) -> None:
    topic, wide = say(EventKind.OPTED_OUT, "acme.offers"), say(EventKind.OPTED_OUT, ALL_MARKETING)
    deliver()
    assert reported(server)["off"] == ["acme.news", "acme.offers"]
    assert topic != wide
    for reason in reported(server)["reasons"].values():
        assert (reason["rule"], reason["scope"], reason["event"], reason["until"]) == (
            "opted_out_of_all_marketing",
            ALL_MARKETING,
            str(wide),
            None,
        )


def test_a_pause_is_reported_with_its_end_and_ends_with_a_message_of_its_own(
    server: Receiver, deliver: Callable[[], None], clock: Clock
) -> None:
    until = services().now() + DAY
    say(EventKind.PAUSED, "acme.offers", until=until)
    deliver()
    paused = reported(server)
    assert paused["reasons"]["acme.offers"]["until"] == until.isoformat()
    clock.advance(DAY + timedelta(seconds=1))
    deliver()
    on = reported(server)
    assert (on["off"], on["lift"], on["reasons"]) == ([], ["acme.offers"], {})
    assert on["version"] == paused["version"]
    assert server.ids[0] != server.ids[1]


def have_erased(deliver: Callable[[], None]) -> None:
    erase(JANE, extent=Extent.MARKETING)
    deliver()


def test_what_is_stored_of_a_request_to_erase_says_nothing_of_the_person(
    deliver: Callable[[], None],
) -> None:  # I6
    """Anyone with a dump could try addresses, if it were a digest of one."""
    say(EventKind.OPTED_OUT, "acme.offers")
    have_erased(deliver)
    assert rows("SELECT outcome, ack FROM erasure_task") == [("erased", "204")]
    assert {ack for (ack,) in rows("SELECT ack FROM delivery_ack")} <= {"204"}


def test_somebody_who_came_back_and_is_erased_again_is_reported_again(
    server: Receiver, deliver: Callable[[], None], clock: Clock
) -> None:  # I6
    say(EventKind.OPTED_OUT, "acme.offers")
    have_erased(deliver)
    clock.advance(DAY)
    proof = ConsentEvidence("page", "back", "en", services().now())
    return_after_erasure(JANE, proof, origin=origin())
    clock.advance(DAY)
    have_erased(deliver)
    asked = [
        (name, body)
        for name, body in zip(server.ids, server.bodies, strict=True)
        if "contact.erased" in body
    ]
    (first, body), (second, same) = asked
    assert body == same
    assert first != second


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[FlaskClient, Path]:
    """The receiver that the documentation shows."""
    example = Path(__file__).parents[3] / "docs" / "examples" / "hooks.py"
    database = tmp_path / "hooks.sqlite"
    monkeypatch.setenv("HOOK_DATABASE", str(database))
    names = runpy.run_path(str(example), run_name="receiver")
    return names["app"].test_client(), database


def off(database: Path) -> set[str]:
    with closing(sqlite3.connect(database)) as connection:
        return {row[0] for row in connection.execute("SELECT topic FROM topic_off WHERE off")}


def test_the_documented_receiver_ends_right_whatever_comes_twice_or_late(
    server: Receiver,
    deliver: Callable[[], None],
    receiver: tuple[FlaskClient, Path],
    clock: Clock,
) -> None:
    client, database = receiver

    def pass_on(number: int) -> int:
        headers: Mapping[str, str] = server.headers[number]
        answer = client.post("/hooks", data=server.bodies[number], headers=dict(headers))
        return answer.status_code

    say(EventKind.OPTED_OUT, "acme.offers")
    deliver()
    clock.advance(timedelta(minutes=1))
    say(EventKind.OPTED_IN, "acme.offers")
    say(EventKind.OPTED_OUT, "acme.news")
    deliver()
    assert [pass_on(number) for number in (0, 0)] == [204, 204]
    assert off(database) == {"acme.offers"}
    assert [pass_on(number) for number in (1, 0, 1, 0)] == [204] * 4
    assert off(database) == {"acme.news"}
    forged = server.bodies[1].replace("acme.news", "acme.olds")
    assert client.post("/hooks", data=forged, headers=server.headers[1]).status_code == 400
