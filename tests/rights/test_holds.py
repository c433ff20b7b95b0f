"""Whom a legal hold covers, and for how long."""

from __future__ import annotations

from datetime import timedelta

import pytest

from preference_center import contacts
from preference_center.contacts.rules.contact import ContactUpdate
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import InvalidInput, NamesAddress
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.holds import end_hold, held_addresses, place_hold
from tests.clock import START, Clock
from tests.rights.asking import ADA, rows

pytestmark = pytest.mark.usefixtures("in_context")


def held() -> list[str]:
    """The grounds of every address that is held."""
    ids = [row[0] for row in rows("SELECT id FROM address")]
    return [*run_in_transaction(lambda c: held_addresses(c, ids, services().now())).values()]


def test_a_hold_covers_all_addresses_of_the_contact() -> None:
    both = (ADA, parse_address("work@example.com", Channel.EMAIL))
    contacts.upsert_contacts(
        [ContactUpdate("c-1", "it", both)], RequestOrigin("test", "test", START)
    )
    assert len(place_hold(ADA, "C-14", "claims", "test")) == 2
    assert held() == ["claims", "claims"]


def test_an_address_that_is_not_known_yet_is_held_until_the_hold_is_ended() -> None:
    place_hold(ADA, "C-14", "claims", "test")
    assert held() == ["claims"]
    assert [end_hold("C-14", "test"), end_hold("C-14", "test")] == [1, 0]
    assert held() == []


@pytest.mark.parametrize(
    "text", ["bob@example.com", "ada%40example.com", "+39 06 123456", "ada@example.com v. us"]
)
def test_neither_case_nor_ground_names_anybody(text: str) -> None:  # I12
    for case, ground in ((text, "claims"), ("C-14", text)):
        with pytest.raises(NamesAddress):
            place_hold(ADA, case, ground, "test")
    assert not held()


@pytest.mark.parametrize("case, ground", [("", "claims"), ("C-14", "")])
def test_a_hold_has_a_case_and_a_ground(case: str, ground: str) -> None:
    with pytest.raises(InvalidInput, match="case and the ground"):
        place_hold(ADA, case, ground, "test")


def test_a_hold_with_an_end_ends_by_itself(clock: Clock) -> None:
    place_hold(ADA, "C-14", "claims", "test", START + timedelta(days=30))
    assert held()
    clock.advance(timedelta(days=31))
    assert not held()


def test_no_case_holds_the_address() -> None:  # I12
    place_hold(ADA, "C-14", "claims", "test")
    assert "ada@" not in str(rows("SELECT * FROM hold"))
    assert "ada@" not in str(rows("SELECT * FROM audit"))
