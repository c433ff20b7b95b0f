"""What the tests of reading tools say, do and look at."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import Change, EventKind
from preference_center.destinations.push import sync
from preference_center.destinations.rules.states import VerificationStats
from preference_center.destinations.scan import verify
from preference_center.destinations.store import listings
from preference_center.destinations.store.listings import ListingKind
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from tests.destinations.tool import Tool
from tests.destinations.two_way_tool import TwoWayTool

TOPIC, OTHER = "acme.offers", "acme.news"
ANNA, BO, CY = "anna@example.com", "bo@example.com", "cy@example.com"


def person(address: str) -> Address:
    return parse_address(address, Channel.EMAIL)


def say(kind: EventKind, address: str = ANNA, scope: str = TOPIC, **given: Any) -> None:
    now = services().now()
    record([Change(uuid4(), kind, person(address), scope, now, now, "test", "test", **given)])


def read(destination: int, tool: TwoWayTool, *parts: ListingKind) -> None:
    """Read these listings until nothing of them is due, or all."""
    begin(destination)
    for part in parts or tuple(ListingKind):
        until = services().now() + timedelta(seconds=5)
        verify(destination, part, tool.connect, until=until, stop=lambda: False)


def begin(destination: int) -> None:
    now = services().now()
    run_in_transaction(lambda c: listings.schedule_listings(c, destination, list(ListingKind), now))


def work(destination: int, tool: Tool) -> int:
    until = services().now() + timedelta(seconds=5)
    return sync(destination, tool.connect, until=until, stop=lambda: False)


def events() -> list[tuple[Any, ...]]:
    return run_in_transaction(
        lambda c: c.execute(
            "SELECT kind, scope, source, actor, own FROM event ORDER BY seq"
        ).fetchall()
    )


def outcomes(address: str) -> list[str]:
    digest = services().keys.exact_digest(person(address))
    rows = run_in_transaction(
        lambda c: c.execute(
            """SELECT d.outcome FROM delivery d JOIN address a ON a.id = d.address_id
            WHERE a.digest = %s ORDER BY d.id""",
            (digest,),
        ).fetchall()
    )
    return [row[0] for row in rows]


def stats(destination: int) -> VerificationStats:
    return run_in_transaction(lambda c: listings.load_stats(c, destination))


def refuse(tool: TwoWayTool, monkeypatch: pytest.MonkeyPatch, name: str, error: Exception) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(type(tool), name, refuse)


def progress(destination: int) -> list[listings.ListingProgress]:
    return run_in_transaction(lambda c: listings.list_progress(c, destination))


def state(address: str, column: str) -> Any:
    digest = services().keys.exact_digest(person(address))
    rows = run_in_transaction(
        lambda c: c.execute(
            f"""SELECT s.{column} FROM sync_state s JOIN address a ON a.id = s.address_id
            WHERE a.digest = %s""",
            (digest,),
        ).fetchall()
    )
    return rows[0][0]
