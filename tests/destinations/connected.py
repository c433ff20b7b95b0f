"""Connected tools for tests of pages: a destination in the database, and the sync loop."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from preference_center.core.addresses import Channel
from tests.destinations.tool import Tool

if TYPE_CHECKING:
    from collections.abc import Collection

    from flask import Flask


def connect(
    app: Flask, name: str, sends: Collection[str], status: str = "active", *, can_lift: bool = True
) -> int:
    """Store a destination; returns its id."""
    from preference_center.destinations.rules.states import DestinationStatus
    from preference_center.destinations.store import destinations
    from preference_center.infra.context import services
    from preference_center.infra.db.transactions import Connection, run_in_transaction

    def work(connection: Connection) -> int:
        number = destinations.insert_destination(
            connection,
            services().keys,
            name=name,
            kind="tool",
            settings={},
            channels=frozenset({Channel.EMAIL}),
            mapping={},
            sends=frozenset(sends),
            sends_service=False,
            can_lift=can_lift,
            now=services().now(),
        )
        destinations.set_status(connection, number, DestinationStatus(status))
        return number

    with app.app_context():
        return run_in_transaction(work)


def push(app: Flask, destination: int, tool: Tool) -> None:
    """Have a worker bring the tool to the latest state."""
    from preference_center.destinations.push import sync
    from preference_center.infra.context import services

    with app.app_context():
        until = services().now() + timedelta(seconds=5)
        sync(destination, tool.connect, until=until, stop=lambda: False)
