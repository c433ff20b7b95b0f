"""The rules of choices about cookies, and the cookie that holds one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference_center.catalogue import CookieCategory, Site, SiteCategory
from preference_center.cookies.rules import (
    CONSENT_DURATION,
    BrowserConsent,
    ConsentCookie,
    ConsentCount,
    ConsentMethod,
    CookieChoiceState,
    count_choices,
    parse_consent_cookie,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
ESSENTIAL, FUNCTIONAL, _, ADVERTISING = CookieCategory
SITE = Site("shop", ("https://a.example",), "acme", categories={FUNCTIONAL: SiteCategory()})


def consent(**choices: bool) -> BrowserConsent:
    given = {CookieCategory(name): on for name, on in choices.items()}
    return BrowserConsent(UUID(int=7), "shop", given, ConsentMethod.CHOOSE, SITE.version, "en", NOW)


@given(
    st.from_regex(r"1\.[0-9a-f]{32}\.[0-9a-z]{1,20}\.\d{8}\.(-|[a-z]{1,5}(\+[a-z]{1,5})?)\n?")
    | st.text()
)
def test_whatever_a_cookie_holds_it_is_read_as_written_or_not_at_all(value: str) -> None:
    found = parse_consent_cookie(value)
    assert found is None or parse_consent_cookie(str(found)) == found


@pytest.mark.parametrize("day", ["20260230", "00000101", "٢٠٢٦١١٢٨"])
def test_a_day_that_is_none_is_not_read(day: str) -> None:
    assert parse_consent_cookie(f"1.{'0' * 32}.abc.{day}.-") is None


def cookie(day: date, version: str = SITE.version) -> ConsentCookie:
    return ConsentCookie(UUID(int=7), version, day, frozenset())


@pytest.mark.parametrize(
    "choices, end",
    [
        ({"functional": True, "advertising": True}, "functional+advertising"),
        ({"advertising": True, "functional": False}, "advertising"),
        ({"functional": False}, "-"),
        ({}, "-"),
    ],
)
def test_a_cookie_is_read_as_it_was_written(choices: dict[str, bool], end: str) -> None:
    written = consent(**choices).cookie
    value = str(written)
    assert value == f"1.{UUID(int=7).hex}.{SITE.version}.20261128.{end}"
    assert parse_consent_cookie(value) == written


@pytest.mark.parametrize("days, counts", [(0, True), (182, True), (183, False), (-1, False)])
def test_a_choice_counts_for_half_a_year(days: int, counts: bool) -> None:  # RULES D3  # noqa: FBT001
    today = NOW.date()
    assert cookie(today - timedelta(days=days)).answers(SITE, today) is counts


def test_a_choice_about_another_version_does_not_count() -> None:
    assert not cookie(NOW.date(), "other").answers(SITE, NOW.date())


def test_a_choice_is_in_force_until_it_expires_or_is_superseded() -> None:
    found = consent(functional=True)
    before, after = NOW + CONSENT_DURATION - timedelta(seconds=1), NOW + CONSENT_DURATION
    assert found.state(is_superseded=False, now=before) is CookieChoiceState.IN_FORCE
    assert found.state(is_superseded=False, now=after) is CookieChoiceState.EXPIRED
    assert found.state(is_superseded=True, now=before) is CookieChoiceState.SUPERSEDED


def count(method: str, outcome: str, number: int, site: str = "shop") -> ConsentCount:
    return ConsentCount(site, NOW.date(), "advertising", method, outcome, number)


def test_small_counts_are_merged_and_none_remains_alone() -> None:
    found = count_choices(
        [
            count("accept", "granted", 30),
            count("refuse", "refused", 12),
            count("close", "refused", 3),
        ]
    )
    assert [(each.method, each.outcome, each.count) for each in found] == [
        ("accept", "granted", 30),
        ("other", "other", 15),
    ]


def test_counts_of_two_sites_stay_apart_and_a_lone_small_one_is_left_out() -> None:
    found = count_choices([count("accept", "granted", 10), count("accept", "granted", 9, "blog")])
    assert [(each.site, each.count) for each in found] == [("shop", 10)]
