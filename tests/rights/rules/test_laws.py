"""Each law's dates, held against a second calculation that counts day by day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference_center.catalogue.rules.privacy import Law
from preference_center.rights.rules.deadlines import (
    answer_rule,
    complaint_authority_url,
    compute_deadlines,
)
from preference_center.rights.rules.requests import RequestKind

ROME, LOS_ANGELES, UTC_ZONE = (
    ZoneInfo(name) for name in ("Europe/Rome", "America/Los_Angeles", "UTC")
)
ZONES = st.sampled_from([ROME, LOS_ANGELES, UTC_ZONE, ZoneInfo("Australia/Lord_Howe")])
TIMES = st.datetimes(datetime(2024, 1, 1), datetime(2032, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds it
KINDS = st.sampled_from(list(RequestKind))
AT_ONCE = {RequestKind.OBJECT, RequestKind.MINOR}
LIMITS = {RequestKind.RESTRICT, RequestKind.UNRESTRICT, RequestKind.DONT_SELL_OR_SHARE}

# The weekdays on which California's state offices are closed (Government Code 6700), by hand.
CALIFORNIA_2026 = {
    date(2026, *day)
    for day in (
        (1, 1), (1, 19), (2, 16), (3, 31), (5, 25), (6, 19), (7, 3), (9, 7), (11, 11), (11, 26),
        (11, 27), (12, 25),
    )
}  # fmt: skip


def local(year: int, month: int, day: int, hour: int = 10, minute: int = 0) -> datetime:
    """A time in Rome."""
    return datetime(year, month, day, hour, minute, tzinfo=ROME)


def month_walked(start: date, months: int) -> date:
    """Count month ends while walking; then stop at the day of the month, or at its last."""
    day, passed = start, 0
    while passed < months:
        following = day + timedelta(days=1)
        passed += following.month != day.month
        day = following
    while day.day < start.day and (day + timedelta(days=1)).month == day.month:
        day += timedelta(days=1)
    return day


def weekdays_walked(start: date, count: int, closed: set[date]) -> date:
    day = start
    while count:
        day += timedelta(days=1)
        count -= day.strftime("%a") not in {"Sat", "Sun"} and day not in closed
    return day


def due(kind: RequestKind, law: Law, received_at: datetime, zone: ZoneInfo = ROME) -> datetime:
    return compute_deadlines(kind, [law], received_at, zone).due_at


@pytest.mark.parametrize(
    "received, expected",
    [
        (local(2026, 1, 31), local(2026, 2, 28)),
        (local(2028, 1, 31), local(2028, 2, 29)),  # a leap year
        (local(2026, 3, 31), local(2026, 4, 30)),
        (local(2026, 12, 15), local(2027, 1, 15)),
        (local(2026, 2, 28), local(2026, 3, 28)),
        # 25 October 2026 and 28 March 2027: the clocks change between.
        (local(2026, 10, 10), local(2026, 11, 10)),
        (local(2027, 3, 10), local(2027, 4, 10)),
        # 2 February 2026 is a Monday, 2 May a Saturday and 1 May a holiday: never moved on.
        (local(2026, 4, 2), local(2026, 5, 2)),
        (local(2026, 4, 1), local(2026, 5, 1)),
        # Half past two does not exist on 28 March 2027, and exists twice on 25 October 2026.
        (local(2027, 2, 28, 2, 30), datetime(2027, 3, 28, 1, 30, tzinfo=UTC)),
        (local(2026, 9, 25, 2, 30), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        # Late on 30 January in UTC it is the 31st in Rome.
        (datetime(2026, 1, 30, 23, 30, tzinfo=UTC), datetime(2026, 2, 27, 23, 30, tzinfo=UTC)),
    ],
)
def test_a_month_ends_on_the_same_day_or_the_months_last(
    received: datetime, expected: datetime
) -> None:
    assert due(RequestKind.ACCESS, Law.GDPR, received) == expected


@pytest.mark.parametrize(
    "received, expected",
    [
        (date(2026, 1, 1), date(2026, 1, 15)),  # New Year's Day, then ten days
        (date(2026, 11, 20), date(2026, 12, 8)),  # Thanksgiving and the day after it
        (date(2026, 3, 27), date(2026, 4, 13)),  # Friday before Cesar Chavez Day
    ],
)
def test_a_request_under_californian_law_is_confirmed_in_ten_business_days(
    received: date, expected: date
) -> None:
    at = datetime.combine(received, datetime.min.time(), LOS_ANGELES) + timedelta(hours=9)
    confirm_by = compute_deadlines(RequestKind.ACCESS, [Law.CCPA], at, LOS_ANGELES).confirm_by
    assert confirm_by
    assert confirm_by.astimezone(LOS_ANGELES).date() == expected


@given(st.dates(date(2026, 1, 1), date(2026, 11, 1)))
def test_business_days_agree_with_a_list_of_the_holidays_of_california(day: date) -> None:
    at = datetime.combine(day, datetime.min.time(), LOS_ANGELES) + timedelta(hours=12)
    found = due(RequestKind.RESTRICT, Law.CCPA, at, LOS_ANGELES)
    assert found.astimezone(LOS_ANGELES).date() == weekdays_walked(day, 15, CALIFORNIA_2026)


@given(TIMES, ZONES, KINDS, st.sampled_from([Law.GDPR, Law.UK_GDPR]))
def test_european_dates_agree_with_months_counted_day_by_day(
    received: datetime, zone: ZoneInfo, kind: RequestKind, law: Law
) -> None:
    found = compute_deadlines(kind, [law], received, zone)
    if kind in AT_ONCE:
        assert found.due_at == received + timedelta(hours=72)
        assert found.extendable_to is None
        return
    if kind is RequestKind.DONT_SELL_OR_SHARE:  # no other law has a date for it
        assert found.due_at == due(kind, Law.CCPA, received, zone)
        return
    first = received.astimezone(zone).date()
    assert found.due_at.astimezone(zone).date() == month_walked(first, 1)
    assert found.extendable_to
    assert found.extendable_to.astimezone(zone).date() == month_walked(first, 3)
    assert found.stops_for_identity
    complained = law is Law.UK_GDPR and kind is RequestKind.COMPLAINT
    assert (found.confirm_by is not None) is complained


@given(TIMES, ZONES, KINDS)
def test_american_and_brazilian_dates_agree_with_days_counted(
    received: datetime, zone: ZoneInfo, kind: RequestKind
) -> None:
    first = received.astimezone(zone).date()
    ccpa = compute_deadlines(kind, [Law.CCPA], received, zone)
    lgpd = compute_deadlines(kind, [Law.LGPD], received, zone)
    assert not ccpa.stops_for_identity  # 11 CCR 7021(b): regardless of the time to verify
    assert not lgpd.stops_for_identity
    assert lgpd.extendable_to is None
    if kind in AT_ONCE | LIMITS:
        assert ccpa.extendable_to is None
        return
    assert ccpa.due_at.astimezone(zone).date() - first == timedelta(days=45)
    assert ccpa.extendable_to
    assert ccpa.extendable_to.astimezone(zone).date() - first == timedelta(days=90)
    assert lgpd.due_at.astimezone(zone).date() - first == timedelta(days=15)
    assert lgpd.confirm_by == (received if kind is RequestKind.ACCESS else None)


@given(TIMES, ZONES, KINDS, st.sets(st.sampled_from(list(Law)), min_size=1))
def test_without_a_stated_law_the_earliest_date_counts(
    received: datetime, zone: ZoneInfo, kind: RequestKind, laws: set[Law]
) -> None:
    every = [compute_deadlines(kind, [law], received, zone) for law in laws]
    found = compute_deadlines(kind, laws, received, zone)
    assert found.due_at == min(each.due_at for each in every)
    assert found.stops_for_identity == all(each.stops_for_identity for each in every)
    extended = [each.extendable_to for each in every]
    assert found.extendable_to == (None if None in extended else min(filter(None, extended)))
    confirmed = [each.confirm_by for each in every if each.confirm_by]
    assert found.confirm_by == min(confirmed, default=None)


@given(TIMES, ZONES, st.timedeltas(timedelta(0), timedelta(days=30)))
def test_a_stopped_clock_moves_the_answer_and_its_extension_but_not_the_confirmation(
    received: datetime, zone: ZoneInfo, stopped: timedelta
) -> None:
    plain = compute_deadlines(RequestKind.COMPLAINT, [Law.UK_GDPR], received, zone)
    moved = compute_deadlines(RequestKind.COMPLAINT, [Law.UK_GDPR], received, zone, stopped=stopped)
    assert moved.due_at - plain.due_at == stopped
    assert moved.extendable_to
    assert plain.extendable_to
    assert moved.extendable_to - plain.extendable_to == stopped
    assert moved.confirm_by == plain.confirm_by


@given(TIMES, ZONES, KINDS, st.sampled_from(list(Law)))
def test_dates_are_in_utc_and_never_before_the_request(
    received: datetime, zone: ZoneInfo, kind: RequestKind, law: Law
) -> None:
    found = compute_deadlines(kind, [law], received.astimezone(zone), zone)
    for date_ in filter(None, (found.due_at, found.extendable_to, found.confirm_by)):
        assert date_.tzinfo is UTC
        assert date_ >= received


def test_an_objection_is_due_in_72_hours_under_every_law() -> None:
    for law in Law:
        assert answer_rule(law, RequestKind.OBJECT).answer.hours == 72


def test_at_least_one_law_is_needed() -> None:
    with pytest.raises(ValueError, match="law"):
        compute_deadlines(RequestKind.ACCESS, [], local(2026, 1, 1), ROME)


def test_every_law_has_an_authority_to_complain_to() -> None:
    assert len({complaint_authority_url(law) for law in Law}) == len(Law)
