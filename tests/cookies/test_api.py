"""`GET /v1/consent/{id}`: what a back end learns of a browser's choice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.cookies.store import insert_consent
from preference_center.infra.db.transactions import run_in_transaction
from tests.clock import START, Clock
from tests.cookies.test_browser_consents import FIRST, next_of
from tests.web.api.sender import Sender, make_sender

if TYPE_CHECKING:
    from flask import Flask

SECOND = next_of(FIRST, 1)


@pytest.fixture
def sender(in_force: Flask) -> Sender:
    with in_force.app_context():
        for each in (FIRST, SECOND):
            run_in_transaction(lambda connection, each=each: insert_consent(connection, each))  # type: ignore[misc]
    return make_sender(in_force, scopes=("read",))


def get(sender: Sender, consent_id: str) -> tuple[int, dict[str, object]]:
    answer = sender.client.get(f"/v1/consent/{consent_id}", headers=sender.headers)
    return answer.status_code, answer.get_json()


def test_a_choice_is_returned_with_its_state(sender: Sender) -> None:
    status, found = get(sender, FIRST.id.hex)
    assert status == 200
    assert found["state"] == "superseded"
    status, found = get(sender, SECOND.id.hex)
    assert found == {
        "id": SECOND.id.hex,
        "site": "shop",
        "state": "in_force",
        "choices": {"advertising": True},
        "method": "accept",
        "version": "abc",
        "policy_version": "privacy/2027-01",
        "language": "en",
        "decided_at": found["decided_at"],
        "expires_at": found["expires_at"],
        "previous": FIRST.id.hex,
    }
    assert str(found["decided_at"]).startswith(f"{START + timedelta(days=1):%Y-%m-%d}")


def test_after_half_a_year_it_is_expired(sender: Sender, clock: Clock) -> None:
    clock.now = replace(SECOND).expires_at
    assert get(sender, SECOND.id.hex)[1]["state"] == "expired"


@pytest.mark.parametrize("consent_id", ["0" * 32, "x", "1", f"{'0' * 32}0"])
def test_an_unknown_id_is_not_found(sender: Sender, consent_id: str) -> None:
    status, found = get(sender, consent_id)
    assert status == 404
    assert "pc_consent" in str(found["detail"])


def test_a_key_without_the_scope_reads_nothing(in_force: Flask) -> None:
    assert get(make_sender(in_force, scopes=("check",)), FIRST.id.hex)[0] == 403
