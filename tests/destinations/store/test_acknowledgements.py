"""What a tool answered is next to its delivery, so that it can be erased (I6, I8)."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
import pytest
from flask import Flask

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import EventKind
from preference_center.destinations.store.deliveries import list_address_progress
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import PushItem
from tests.destinations.connected import connect, push
from tests.destinations.steps import ANNA, BO, TOPIC, say
from tests.destinations.tool import Tool
from tests.in_force import put_in_force
from tests.ledger.changes import id_of
from tests.rights.erased_rows import erase_of
from tests.rights.erasing import erase, rows


def acks(address: str) -> list[str]:
    """The acknowledgements that a receipt of this address can show."""
    address_id = id_of(parse_address(address, Channel.EMAIL))
    assert address_id is not None
    progress = run_in_transaction(lambda c: list_address_progress(c, address_id, [TOPIC]))
    return [delivery.ack for tool in progress for delivery in tool.deliveries]


@pytest.fixture
def pushed(app: Flask) -> Flask:
    """Two addresses whose opt-outs were pushed."""
    put_in_force(app)
    destination = connect(app, "crm", {TOPIC})
    with app.app_context():
        say(EventKind.OPTED_OUT, ANNA)
        say(EventKind.OPTED_OUT, BO)
    push(app, destination, Tool())
    return app


def test_erasing_leaves_the_delivery_and_what_others_have(pushed: Flask) -> None:  # I6
    with pushed.app_context():
        assert (acks(ANNA), acks(BO)) == (["200"], ["200"])
        anna = id_of(parse_address(ANNA, Channel.EMAIL))
        assert anna is not None
        assert run_in_transaction(lambda c: erase_of(c, "delivery_ack", anna)) == 1
        assert (acks(ANNA), acks(BO)) == ([""], ["200"])


def test_what_a_tool_answers_about_an_erased_person_is_not_kept(app: Flask) -> None:  # I6
    def erase_meanwhile(_: Sequence[PushItem]) -> None:
        erase(parse_address(ANNA, Channel.EMAIL))

    put_in_force(app)
    destination = connect(app, "crm", {TOPIC})
    with app.app_context():
        say(EventKind.OPTED_OUT, ANNA)
        say(EventKind.OPTED_OUT, BO)
        push(app, destination, Tool(before=erase_meanwhile))
        assert rows("SELECT outcome FROM delivery WHERE outcome <> 'superseded'")
        assert (set(acks(ANNA)), acks(BO)) == ({""}, ["200"])


def test_an_acknowledgement_may_be_erased_and_not_replaced(pushed: Flask) -> None:  # I8
    with (
        pushed.app_context(),
        pytest.raises(psycopg.errors.RaiseException, match="append-only"),
    ):
        run_in_transaction(lambda c: c.execute("UPDATE delivery_ack SET ack = '201'"))
