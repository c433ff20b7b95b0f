"""Compute the deadlines of requests and how far their time has run.

Periods are counted as laws write them, in the company's time zone; business days are the days on
which offices work. Deadlines say by when a request is to be confirmed and answered, under each law;
the rest says how far its time has run: its stage, its reminders, and when it ends by itself.

Sources: GDPR art. 12(3) and EDPB Guidelines 01/2022, 157-159 (the clock stops while identity
is open, if that was asked without delay); UK GDPR art. 12A and Data Protection Act 2018 s. 164A
(complaints), both by the Data (Use and Access) Act 2025; 11 CCR 7021, 7026(f) and 7027(g) for the
CCPA; LGPD art. 19.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum
from fractions import Fraction
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, assert_never

from preference_center.catalogue.rules.privacy import Law
from preference_center.core.deadlines import RequestStage
from preference_center.rights.rules.requests import RequestKind

if TYPE_CHECKING:
    from holidays import HolidayBase

_SATURDAY = 5


class Jurisdiction(StrEnum):
    """Whose public holidays count, as an ISO 3166-2 code."""

    CALIFORNIA = "US-CA"


def add_business_days(start: date, days: int, jurisdiction: Jurisdiction) -> date:
    """The `days`-th business day after `start`, which itself does not count."""
    return next(islice(_business_days_from(start, jurisdiction), days, None))


def _business_days_from(start: date, jurisdiction: Jurisdiction) -> Iterator[date]:
    """`start` itself, whatever day it is, and every business day after it."""
    closed, day = _public_holidays(jurisdiction), start
    yield day
    while True:
        day += timedelta(days=1)
        if day.weekday() < _SATURDAY and day not in closed:
            yield day


@cache
def _public_holidays(jurisdiction: Jurisdiction) -> HolidayBase:
    """The library computes a year when it is first asked for a day of it."""
    from holidays import country_holidays  # noqa: PLC0415 - 10 MiB, for a law with business days

    country, _, subdivision = jurisdiction.partition("-")
    return country_holidays(country, subdiv=subdivision)


@dataclass(frozen=True, slots=True)
class Period:
    """A length of time, in exactly one of these units."""

    months: int = 0
    days: int = 0
    business_days: int = 0
    hours: int = 0
    jurisdiction: Jurisdiction = Jurisdiction.CALIFORNIA
    """Whose business days."""

    def after(self, start: datetime, zone: tzinfo) -> datetime:
        """When this period ends that begins at `start` (aware); in UTC.

        It ends at the same time of day in `zone`, which is never later than the last hour of
        that day, as most laws would allow. A time that the clocks skip counts as if they had
        not changed, one that they repeat as its first. It never moves on over a week-end or a
        holiday: that would be allowed (Regulation 1182/71 art. 3(4)), but nobody need wait.
        """
        if self.hours:
            return start.astimezone(UTC) + timedelta(hours=self.hours)
        local = start.astimezone(zone)
        last = add_months(local.date(), self.months) + timedelta(days=self.days)
        last = add_business_days(last, self.business_days, self.jurisdiction)
        return datetime.combine(last, local.time(), zone).astimezone(UTC)


def add_months(day: date, months: int) -> date:
    """The same day `months` later, or the last of that month: 31 January + 1 is 28 February.

    Source: Regulation (EEC, Euratom) 1182/71 art. 3(2)(c).
    """
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    length = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, length))


@dataclass(frozen=True, slots=True)
class AnswerRule:
    """What one law says about one kind of request; all periods begin when it is received."""

    answer: Period
    extended: Period | None = None
    """The whole period if it is extended; None if it can't be."""
    confirm: Period | None = None
    """Within what its receipt is to be confirmed."""
    stops_for_identity: bool = False
    """Whether the clock stops while the person is to prove who they are."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The dates of one request (UTC)."""

    due_at: datetime
    extendable_to: datetime | None
    confirm_by: datetime | None
    stops_for_identity: bool


_AT_ONCE = AnswerRule(Period(hours=72))
"""An objection to marketing counts at once; the tools have the window of any opt-out (I3).

The company reviews a report of a minor in the same time. No law allows more for either.
"""


_GDPR = AnswerRule(Period(months=1), Period(months=3), stops_for_identity=True)


_UK_COMPLAINT = AnswerRule(
    Period(months=1), Period(months=3), confirm=Period(days=30), stops_for_identity=True
)


_CCPA = AnswerRule(Period(days=45), Period(days=90), confirm=Period(business_days=10))


_CCPA_LIMIT = AnswerRule(Period(business_days=15))
"""To limit the use, and not to sell or share."""


_LGPD = AnswerRule(Period(days=15))


_LGPD_ACCESS = AnswerRule(Period(days=15), confirm=Period())


def answer_rule(law: Law, kind: RequestKind) -> AnswerRule:
    """The rule of `law` for this kind of request."""
    if kind in {RequestKind.OBJECT, RequestKind.MINOR}:
        return _AT_ONCE
    if kind is RequestKind.DONT_SELL_OR_SHARE:  # the other laws have no date of their own for it
        return _CCPA_LIMIT
    match law:
        case Law.GDPR:
            return _GDPR
        case Law.UK_GDPR:
            return _UK_COMPLAINT if kind is RequestKind.COMPLAINT else _GDPR
        case Law.CCPA:
            limits = kind in {RequestKind.RESTRICT, RequestKind.UNRESTRICT}
            return _CCPA_LIMIT if limits else _CCPA
        case Law.LGPD:
            return _LGPD_ACCESS if kind is RequestKind.ACCESS else _LGPD
        case _:
            assert_never(law)


def compute_deadlines(
    kind: RequestKind,
    laws: Collection[Law],
    received_at: datetime,
    zone: tzinfo,
    *,
    stopped: timedelta = timedelta(0),
) -> Deadlines:
    """The dates of a request that was received then, and whose clock was stopped for so long.

    Of several laws (where the person lives is not known) the earliest of each date counts;
    the request can be extended, and the clock stops, only if all of them allow it. Raises
    ValueError without a law.
    """
    if not laws:
        raise ValueError("name at least one law")
    rules = [answer_rule(law, kind) for law in laws]

    def earliest(pick: Callable[[AnswerRule], Period | None]) -> datetime | None:
        ends = [period.after(received_at, zone) for rule in rules if (period := pick(rule))]
        return min(ends, default=None)

    due_at = earliest(lambda rule: rule.answer)
    assert due_at  # every rule has an answer
    extended = all(rule.extended for rule in rules) and earliest(lambda rule: rule.extended)
    return Deadlines(
        due_at=due_at + stopped,
        extendable_to=extended + stopped if extended else None,
        confirm_by=earliest(lambda rule: rule.confirm),
        stops_for_identity=all(rule.stops_for_identity for rule in rules),
    )


def complaint_authority_url(law: Law) -> str:
    """The page of the authority, or of the list of authorities, that hears complaints."""
    match law:
        case Law.GDPR:
            return "https://www.edpb.europa.eu/about-edpb/about-edpb/members_en"
        case Law.UK_GDPR:
            return "https://ico.org.uk/make-a-complaint/"
        case Law.CCPA:
            return "https://cppa.ca.gov/webapplications/complaint"
        case Law.LGPD:
            return "https://www.gov.br/anpd/pt-br"
        case _:
            assert_never(law)


IDENTITY_WAIT = timedelta(days=30)
"""How long a request waits for proof of identity before it lapses."""


REPEAT_WINDOW = timedelta(days=1)
"""Within it the same request, received again, is the same one."""


RETENTION = Period(months=24)
"""How long a closed request is kept (11 CCR 7101(a))."""


MINOR_RETENTION = Period(days=90)
"""How long a closed report of a minor is kept, and with it who reported it."""


REMINDERS = (Fraction(1, 2), Fraction(4, 5), Fraction(1))
"""The shares of its time after which the company is reminded of a request."""


_DUE_SOON = Fraction(4, 5)


def request_stage(
    received_at: datetime, deadline: datetime, now: datetime, *, target: timedelta
) -> RequestStage:
    """The stage of a request that is to be answered by `deadline`.

    `target` is within what the company means to answer; laws allow more.
    """
    if now >= deadline:
        return RequestStage.OVERDUE
    if now >= share_of_time(received_at, deadline, _DUE_SOON):
        return RequestStage.DUE_SOON
    late = now >= received_at + target
    return RequestStage.PAST_TARGET if late else RequestStage.ON_TIME


def share_of_time(received_at: datetime, deadline: datetime, share: Fraction) -> datetime:
    """When this share of the time between the two is gone."""
    return received_at + (deadline - received_at) * share.numerator / share.denominator


def next_reminder(received_at: datetime, deadline: datetime, now: datetime) -> datetime | None:
    """When the company is reminded next; None after the deadline."""
    times = (share_of_time(received_at, deadline, share) for share in REMINDERS)
    return min((time for time in times if time > now), default=None)
