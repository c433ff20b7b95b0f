"""A connected tool that the tests of this folder play."""

from __future__ import annotations

import pytest

from preference_center.core.addresses import Channel
from preference_center.destinations.rules.states import DestinationStatus
from preference_center.destinations.store import destinations
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from tests.destinations.tool import Tool


@pytest.fixture
def tool() -> Tool:
    return Tool()


@pytest.fixture
def destination(in_context: None) -> int:
    """The id of an active destination that sends `acme.offers` by email."""
    context = services()

    def work(connection: Connection) -> int:
        number = destinations.insert_destination(
            connection,
            context.keys,
            name="mailer",
            kind="tool",
            settings={},
            channels=frozenset({Channel.EMAIL}),
            mapping={},
            sends=frozenset({"acme.offers"}),
            sends_service=False,
            now=context.now(),
        )
        destinations.set_status(connection, number, DestinationStatus.ACTIVE)
        return number

    return run_in_transaction(work)
