"""A request that names a person by the company's own id reaches all addresses of the contact."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any
from zipfile import ZipFile

import pytest
from flask import Flask

from preference_center.contacts import upsert_contacts
from preference_center.contacts.rules.contact import ContactRef, ContactUpdate
from preference_center.core.addresses import Channel, parse_address
from preference_center.infra.context import services
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.access_file.build import build_access_file, read_access_file
from preference_center.rights.erasure.erase import erase_contacts
from preference_center.rights.requests.steps import (
    complete_data_request,
    load_request,
    open_sealed,
)
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.requests import (
    Extent,
    IdentityLevel,
    RequestKind,
    RequestOutcome,
    RequestState,
)
from tests.in_force import CATALOGUE, put_in_force
from tests.rights.asking import ADA, NUMBER, ask, rows

WORK = parse_address("ada@work.example", Channel.EMAIL)


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    put_in_force(app, CATALOGUE)
    with app.app_context():
        upsert_contacts(
            [
                ContactUpdate(external_id="c-1", addresses=(NUMBER, ADA, WORK)),
                ContactUpdate(external_id="c-2"),
            ],
            origin(),
        )
        yield


def origin() -> RequestOrigin:
    return RequestOrigin("test", "test", services().now())


def ask_by_id(kind: RequestKind, name: str = "c-1", **given: Any) -> RightsRequest:
    return ask(kind, addresses=(), external_ids=(name,), **given)


def test_the_file_has_all_addresses_of_the_contact() -> None:
    asked = ask_by_id(RequestKind.ACCESS, level=IdentityLevel.CONTACT)
    build_access_file(asked.id)
    with ZipFile(io.BytesIO(read_access_file(asked.id))) as archive:
        shown = json.loads(archive.read("data.json"))
    assert {each["address"] for each in shown["addresses"]} == {
        ADA.exact,
        WORK.exact,
        NUMBER.exact,
    }


def test_an_objection_counts_for_all_of_them() -> None:
    assert ask_by_id(RequestKind.OBJECT).state is RequestState.DONE
    assert rows("SELECT DISTINCT kind, scope FROM event") == [("opted_out", "all_marketing")]
    assert rows("SELECT count(DISTINCT address_id) FROM event") == [(3,)]


@pytest.mark.parametrize("name", ["c-2", "unknown"])
def test_an_objection_that_reaches_no_address_stays_open(name: str) -> None:  # I1
    assert ask_by_id(RequestKind.OBJECT, name).state is RequestState.OPEN
    assert rows("SELECT kind FROM event") == []


@pytest.mark.parametrize("name", ["c-1", "c-2"])
def test_erasing_the_account_wipes_what_a_closed_request_says(name: str) -> None:  # I6
    asked = ask_by_id(RequestKind.COMPLAINT, name, text="My name is Ada Lovelace.")
    complete_data_request(asked.id, RequestOutcome.FULFILLED, "support")
    erase_contacts([ContactRef(external_id=name)], Extent.ACCOUNT, origin=origin())
    assert rows("SELECT sealed FROM rights_request") == [(None,)]


@pytest.mark.parametrize("name", ["c-1", "c-2"])
def test_an_open_request_says_what_it_says_until_it_is_answered(name: str) -> None:  # I6
    asked = ask_by_id(RequestKind.COMPLAINT, name, text="My name is Ada Lovelace.")
    erase_contacts([ContactRef(external_id=name)], Extent.ACCOUNT, origin=origin())
    assert open_sealed(load_request(asked.id)).text
    complete_data_request(asked.id, RequestOutcome.FULFILLED, "support")
    assert rows("SELECT sealed FROM rights_request") == [(None,)]


@pytest.mark.parametrize("name", ["c-2", "unknown"])
def test_erasing_the_marketing_data_of_who_has_no_address_ends_with_that(name: str) -> None:
    asked = ask_by_id(RequestKind.ERASE, name, extent=Extent.MARKETING, level=IdentityLevel.CONTACT)
    assert (asked.state, asked.outcome) == (RequestState.DONE, RequestOutcome.NOTHING_HELD)
