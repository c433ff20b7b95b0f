"""Each kind of data goes right after its retention: a plan and a run agree to the microsecond."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from preference_center import contacts
from preference_center.catalogue import RetainedData
from preference_center.contacts.rules.contact import ContactRef, ContactUpdate
from preference_center.cookies.rules import (
    CONSENT_DURATION,
    BrowserConsent,
    ConsentMethod,
)
from preference_center.cookies.store import insert_consent
from preference_center.core.events import ALL_MARKETING
from preference_center.infra import audit
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.retention import plan_retention, run_retention
from tests.clock import START, Clock
from tests.core.histories import NEWS
from tests.destinations.steps import work
from tests.destinations.tool import Tool
from tests.destinations.two_way_tool import add_destination
from tests.in_force import CATALOGUE, put_in_force
from tests.ledger.changes import JANE, change

if TYPE_CHECKING:
    from flask import Flask

pytestmark = pytest.mark.usefixtures("in_context")

ORIGIN = RequestOrigin("test", "test", START)
RETENTION, DAY = timedelta(days=30), timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
CHOICE = BrowserConsent(
    UUID(int=1), "shop", {}, ConsentMethod.ACCEPT, "abc", "en", START, "2027-01"
)


def replaced_evidence(clock: Clock) -> None:
    clock.advance(-DAY)
    record([change(1, at=clock(), evidence={"method": "page"})])
    clock.advance(DAY)
    record([change(2)])


def delivery(_: Clock) -> None:
    destination = add_destination("mailer", NEWS, pulls=False)
    record([change(1)])
    work(destination, Tool())


def suppressed_address(_: Clock) -> None:
    record([change(1, scope=ALL_MARKETING)])


def closed_account(_: Clock) -> None:
    contacts.upsert_contacts([ContactUpdate("c-1", "it", (JANE,))], ORIGIN)
    contacts.deactivate_contacts([(ContactRef(address=JANE), START)], ORIGIN)


def audit_entry(_: Clock) -> None:
    run_in_transaction(lambda c: audit.insert_audit_entry(c, START, "cli", "test", {}))


def expired_choice(_: Clock) -> None:
    expired = replace(CHOICE, decided_at=START - CONSENT_DURATION)
    run_in_transaction(lambda c: insert_consent(c, expired))


def replaced_choice(_: Clock) -> None:
    first = replace(CHOICE, decided_at=START - DAY)
    second = replace(CHOICE, id=UUID(int=2), previous=first.id)
    for each in (first, second):
        run_in_transaction(lambda c, each=each: insert_consent(c, each))  # type: ignore[misc]


ITEMS: Mapping[Callable[[Clock], None], RetainedData] = {
    replaced_evidence: RetainedData.EVIDENCE,
    delivery: RetainedData.DELIVERIES,
    suppressed_address: RetainedData.SUPPRESSED_ADDRESSES,
    closed_account: RetainedData.CLOSED_ACCOUNTS,
    audit_entry: RetainedData.AUDIT,
    expired_choice: RetainedData.BROWSER_CONSENTS,
    replaced_choice: RetainedData.BROWSER_CONSENTS,
}
"""By what stores one item whose retention begins at START: its kind."""


def test_the_table_has_every_kind() -> None:
    assert set(ITEMS.values()) == set(RetainedData)


@pytest.mark.parametrize(
    "past, removed",
    [
        pytest.param(-MICROSECOND, 0, id="before"),
        pytest.param(timedelta(0), 0, id="at"),
        pytest.param(MICROSECOND, 1, id="after"),
    ],
)
@pytest.mark.parametrize("store, kind", ITEMS.items(), ids=[store.__name__ for store in ITEMS])
def test_an_item_goes_right_after_its_retention_by_plan_and_by_run(
    app: Flask,
    clock: Clock,
    store: Callable[[Clock], None],
    kind: RetainedData,
    past: timedelta,
    removed: int,
) -> None:
    rule = f'[retention.{kind}]\ndays = {RETENTION.days}\nground = "test"'
    put_in_force(app, f"{CATALOGUE}\n{rule}\n")
    store(clock)
    clock.now = START + RETENTION + past
    assert sum(len(planned.items) for planned in plan_retention(clock())) == removed
    assert run_retention(clock()) == removed
