"""`flask rights move`, `undo-move` and `retract-consent`, as support uses them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from preference_center.domain.addresses import Channel, parse_address
from preference_center.domain.events import EventKind
from preference_center.domain.receipt_codes import format_receipt_code
from preference_center.ledger import record
from preference_center.storage.db.database import run_in_transaction
from tests.in_force import put_in_force
from tests.ledger.changes import change

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask

ADA = parse_address("ada@example.com", Channel.EMAIL)
CONSENT = UUID(int=1 << 100)


def flask(app: Flask, *words: str, typed: str = "ada@example.com") -> Result:
    return app.test_cli_runner().invoke(args=["rights", *words], input=f"{typed}\n")


def kinds(app: Flask) -> list[str]:
    with app.app_context():
        rows = run_in_transaction(
            lambda c: c.execute("SELECT kind FROM event ORDER BY seq").fetchall()
        )
    return [row[0] for row in rows]


@pytest.fixture
def app(app: Flask) -> Flask:
    put_in_force(app)
    with app.app_context():
        record([replace(change(0, EventKind.CONSENTED, address=ADA), id=CONSENT)])
    return app


@pytest.fixture
def reference(app: Flask) -> str:
    added = flask(app, "add", "correct", "--via", "phone", "--language", "en")
    assert added.exit_code == 0, added.output
    found = added.stdout.split()[0]
    proven = flask(app, "identify", found, "confirmed", "--proof", "one_time_link")
    assert proven.exit_code == 0, proven.output
    return found


def test_an_address_is_moved_and_back(app: Flask, reference: str) -> None:
    moved = flask(app, "move", reference, "--new-address-proven", typed="ada@new.example")
    assert moved.exit_code == 0, moved.output
    assert "ada@" not in moved.stdout  # I12
    assert kinds(app) == ["consented", "moved", "consented"]
    undone = flask(app, "undo-move", moved.stdout.split()[1].rstrip("."))
    assert undone.exit_code == 0, undone.output
    assert kinds(app)[3:] == ["retracted", "retracted"]


def test_an_address_that_nobody_has_proven_is_not_moved_to(app: Flask, reference: str) -> None:
    assert flask(app, "move", reference, typed="n\nada@new.example").exit_code != 0
    assert kinds(app) == ["consented"]


def test_a_consent_is_retracted_by_its_reference(app: Flask, reference: str) -> None:
    retracted = flask(app, "retract-consent", reference, format_receipt_code(CONSENT))
    assert retracted.exit_code == 0, retracted.output
    assert retracted.stdout == "Retracted: consented acme.news.\n"
    assert kinds(app) == ["consented", "retracted"]


def test_what_is_wrong_with_a_reference_is_stated(app: Flask, reference: str) -> None:
    unknown = flask(app, "retract-consent", reference, format_receipt_code(UUID(int=2 << 100)))
    assert unknown.exit_code != 0
    assert "no event of this person has this reference" in unknown.output
    assert kinds(app) == ["consented"]
