"""`flask receipts find`: support finds an opt-out by the reference that a person reads out."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.context import EXTENSION_NAME, services
from preference_center.domain.addresses import Channel, parse_address
from preference_center.domain.events import ALL_MARKETING, Change, EventKind, Retraction
from preference_center.domain.receipt_codes import format_receipt_code
from preference_center.ledger import record
from preference_center.storage.db.database import run_in_transaction
from preference_center.storage.mail import pending_mail_opt_outs
from preference_center.storage.mail.pending_mail_opt_outs import PendingMailOptOut
from tests.clock import START, Clock
from tests.in_force import put_in_force
from tests.ledger.changes import id_of
from tests.pages.tools import connect, push
from tests.rights.erased_rows import erase_of
from tests.sync.tool import Tool

if TYPE_CHECKING:
    from uuid import UUID

    from click.testing import Result
    from flask import Flask

ADA = parse_address("ada@example.com", Channel.EMAIL)


@pytest.fixture
def in_force(app: Flask) -> Flask:
    put_in_force(app)
    return app


def say(app: Flask, kind: EventKind = EventKind.OPTED_OUT, scope: str = ALL_MARKETING) -> UUID:
    with app.app_context():
        now, new_id = services().now(), services().new_id()
        evidence = {"via": "phone"}
        record([Change(new_id, kind, ADA, scope, now, now, "cli", "support", evidence)])
        return new_id


def find(app: Flask, text: str) -> Result:
    return app.test_cli_runner().invoke(args=["receipts", "find", text])


def test_it_shows_the_event_and_its_delivery_to_each_tool(in_force: Flask, clock: Clock) -> None:
    shown = connect(in_force, "crm", {"acme.offers"})
    connect(in_force, "mailer", {"acme.offers"}, status="paused")
    event = say(in_force)
    push(in_force, shown, Tool())
    clock.advance(timedelta(hours=80))
    result = find(in_force, format_receipt_code(event).lower().replace("-", " "))
    assert result.exit_code == 0, result.output
    assert str(event) in result.output
    assert "opted_out all_marketing (active)" in result.output
    assert "received\t2026-11-24 09:00:00 UTC" in result.output
    assert "via\tphone" in result.output
    assert "crm\tconfirmed at 2026-11-24 09:00:00 UTC acknowledged: 200" in result.output
    assert "mailer\tblocked (paused) LATE, was due 2026-11-27 09:00:00 UTC" in result.output  # I3
    assert "a***@e***.com" in result.output
    assert "ada@" not in result.output  # I12


def test_it_says_that_the_evidence_was_erased(in_force: Flask) -> None:  # I8
    event = say(in_force)
    with in_force.app_context():
        address_id = id_of(ADA)
        assert address_id is not None
        run_in_transaction(lambda c: erase_of(c, "event_evidence", address_id))
    result = find(in_force, format_receipt_code(event))
    assert "evidence\terased on request, or expired" in result.output
    assert "phone" not in result.output


def test_it_shows_the_state_of_the_event(in_force: Flask, clock: Clock) -> None:
    first, second = say(in_force), say(in_force, scope="acme.offers")
    with in_force.app_context():
        record([Retraction(services().new_id(), (first,), services().now(), "t", "t")])
    clock.advance(timedelta(hours=1))
    say(in_force, EventKind.OPTED_IN, "acme.offers")
    assert "(retracted)" in find(in_force, format_receipt_code(first)).output
    assert "(overridden)" in find(in_force, format_receipt_code(second)).output


def test_an_opt_out_by_mail_whose_address_is_not_known_yet_is_found(in_force: Flask) -> None:
    with in_force.app_context():
        new_id = services().new_id()
        row = PendingMailOptOut(
            new_id, b"x" * 16, b"123456", None, "l1", START.date(), START, START
        )
        run_in_transaction(
            lambda connection: pending_mail_opt_outs.insert_pending(connection, [row])
        )
    result = find(in_force, format_receipt_code(new_id))
    assert result.exit_code == 0
    assert "not in the ledger yet" in result.output


def test_a_mistyped_reference_differs_from_an_unknown_one(in_force: Flask) -> None:
    with in_force.app_context():
        unknown = format_receipt_code(services().new_id())
    assert find(in_force, unknown).exit_code == 1
    wrong = "Z" if unknown[0] != "Z" else "Y"
    mistyped = find(in_force, wrong + unknown[1:])
    assert mistyped.exit_code == 2
    assert "character" in mistyped.stderr


def test_a_message_id_is_found_again_by_what_is_kept_of_it(app: Flask) -> None:
    """It is read from standard input: arguments are seen by every user of the host (I12)."""
    result = app.test_cli_runner().invoke(
        args=["receipts", "hash-message-id"], input="ada@example.com\n"
    )
    assert result.exit_code == 0
    assert result.output.strip() == app.extensions[EXTENSION_NAME].keys.evidence_hmac(
        "ada@example.com"
    )
