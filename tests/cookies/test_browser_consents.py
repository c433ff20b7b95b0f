"""Recorded choices about cookies: append-only, found by id, gone in time, counted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from preference_center.catalogue import CookieCategory
from preference_center.cookies.rules import BrowserConsent, ConsentCount, ConsentMethod
from preference_center.cookies.store import count_cells, find_consent, insert_consent
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.rights.retention import retention_rules, run_retention
from tests.clock import START, Clock
from tests.in_force import put_in_force

if TYPE_CHECKING:
    from flask import Flask

pytestmark = pytest.mark.usefixtures("in_context")

FIRST = BrowserConsent(
    UUID(int=1),
    "shop",
    {CookieCategory.ADVERTISING: True},
    ConsentMethod.ACCEPT,
    "abc",
    "en",
    START,
    "privacy/2027-01",
)
KEPT = timedelta(days=396)


def store(*consents: BrowserConsent) -> None:
    for each in consents:
        run_in_transaction(lambda connection, each=each: insert_consent(connection, each))  # type: ignore[misc]


def is_there(consent: BrowserConsent) -> bool:
    return run_in_transaction(lambda connection: find_consent(connection, consent.id)) is not None


def next_of(consent: BrowserConsent, days: int) -> BrowserConsent:
    later = consent.decided_at + timedelta(days=days)
    return replace(consent, id=UUID(int=consent.id.int + 1), decided_at=later, previous=consent.id)


def test_a_choice_is_found_as_it_was_stored_however_often() -> None:
    store(FIRST, FIRST, replace(FIRST, choices={}))
    found = run_in_transaction(lambda connection: find_consent(connection, FIRST.id))
    assert found
    assert (found.consent, found.is_superseded) == (FIRST, False)


def test_the_next_choice_supersedes_it() -> None:
    store(FIRST, next_of(FIRST, 1))
    found = run_in_transaction(lambda connection: find_consent(connection, FIRST.id))
    assert found
    assert found.is_superseded


def test_an_earlier_choice_of_another_site_is_not_named() -> None:
    other = replace(next_of(FIRST, 1), site="blog")
    store(FIRST, other)
    found = run_in_transaction(lambda connection: find_consent(connection, other.id))
    assert found
    assert found.consent.previous is None


def test_it_goes_13_months_after_it_has_expired(app: Flask, clock: Clock) -> None:
    put_in_force(app)
    store(FIRST)
    clock.now = FIRST.expires_at + KEPT
    run_retention(clock())
    assert is_there(FIRST)
    clock.now += timedelta(days=1, seconds=1)
    assert run_retention(clock()) == 1
    assert not is_there(FIRST)


def test_a_superseded_one_goes_13_months_after_the_next(app: Flask, clock: Clock) -> None:
    put_in_force(app)
    second = next_of(FIRST, 10)
    store(FIRST, second)
    clock.now = second.decided_at + KEPT + timedelta(seconds=1)
    assert run_retention(clock()) == 1
    assert not is_there(FIRST)
    assert is_there(second)


def test_the_catalogue_may_keep_them_shorter(app: Flask) -> None:
    from tests.in_force import CATALOGUE

    assert [rule.duration for rule in retention_rules().values()] == [KEPT]
    put_in_force(app, f'{CATALOGUE}\n[retention.browser_consents]\ndays = 30\nground = "test"\n')
    assert [rule.duration for rule in retention_rules().values()] == [timedelta(days=30)]


def test_choices_are_counted_by_site_day_category_and_method() -> None:
    both = {CookieCategory.FUNCTIONAL: True, CookieCategory.ADVERTISING: False}
    store(
        FIRST,
        replace(FIRST, id=UUID(int=2)),
        replace(FIRST, id=UUID(int=3), choices=both, method=ConsentMethod.CHOOSE),
        replace(FIRST, id=UUID(int=4), site="blog", decided_at=START + timedelta(days=1)),
    )
    day = START.date()
    shop = {
        ConsentCount("shop", day, "advertising", "accept", "granted", 2),
        ConsentCount("shop", day, "advertising", "choose", "refused", 1),
        ConsentCount("shop", day, "functional", "choose", "granted", 1),
    }
    found = run_in_transaction(lambda connection: count_cells(connection, "shop", None, None))
    assert set(found) == shop
    until = START + timedelta(hours=1)
    found = run_in_transaction(lambda connection: count_cells(connection, None, START, until))
    assert set(found) == shop
