"""The policy: how many bounces on how many days, for how long, and what a complaint stops."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from preference_center.domain.bounces import (
    AT_ONCE,
    NEVER,
    ComplaintStops,
    Policy,
    Ruling,
    Threshold,
    classify,
    complaint_scope,
    judge,
)
from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.events import ALL_MARKETING
from tests.clock import START

NOW = START
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def ruling(
    code: str,
    *earlier: datetime,
    at: datetime = NOW,
    now: datetime = NOW,
    policy: Policy = Policy(),  # noqa: B008 - it is frozen
) -> Ruling:
    return judge(policy, classify(Bounce(code)), at, earlier, now).ruling


def test_one_bounce_suppresses_for_good_where_the_mailbox_is_gone() -> None:  # F10
    verdict = judge(Policy(), classify(Bounce("5.1.1")), NOW, [], NOW)
    assert (verdict.ruling, verdict.until) == (Ruling.SUPPRESS, None)


def test_two_bounces_on_two_days_suppress_for_a_time() -> None:  # F10
    assert ruling("5.1.2") is Ruling.COUNT
    assert ruling("5.1.2", NOW - HOUR) is Ruling.COUNT  # the same day in UTC
    verdict = judge(Policy(), classify(Bounce("5.1.2")), NOW, [NOW - DAY], NOW)
    assert verdict.ruling is Ruling.SUPPRESS_FOR_NOW
    assert verdict.until == NOW + timedelta(days=30)


def test_the_order_in_which_bounces_are_told_is_of_no_account() -> None:
    for at, other in ((NOW, NOW - DAY), (NOW - DAY, NOW)):
        assert ruling("5.1.2", other, at=at) is Ruling.SUPPRESS_FOR_NOW


def test_days_are_those_of_utc() -> None:
    midnight = NOW.replace(hour=0, minute=0)
    minute = timedelta(minutes=1)
    assert ruling("5.2.1", midnight - minute, at=midnight) is Ruling.SUPPRESS_FOR_NOW
    assert ruling("5.2.1", midnight, at=midnight + 23 * HOUR, now=NOW + DAY) is Ruling.COUNT


def test_an_old_bounce_counts_no_more() -> None:
    policy = Policy(counted_for=timedelta(days=10))
    assert ruling("5.1.2", NOW - 9 * DAY, policy=policy) is Ruling.SUPPRESS_FOR_NOW
    assert ruling("5.1.2", NOW - 10 * DAY, policy=policy) is Ruling.COUNT
    assert ruling("5.1.2", at=NOW - 10 * DAY, policy=policy) is Ruling.IGNORE


def test_what_would_have_ended_already_is_not_begun() -> None:
    old = NOW - 31 * DAY
    assert ruling("5.1.2", old - DAY, at=old) is Ruling.COUNT


@pytest.mark.parametrize("code", ["5.2.2", "5.4.7", "5.7.1", "4.2.2", "4.1.1"])
def test_what_never_suppresses_does_not_however_often_it_comes(code: str) -> None:  # F10
    days = [NOW - number * DAY for number in range(1, 80)]
    assert ruling(code, *days) is Ruling.IGNORE


def test_a_company_may_count_full_mailboxes() -> None:
    policy = Policy({"5.2.2": Threshold(3, days=2)}, soft_for=timedelta(days=7))
    assert ruling("5.2.2", NOW - DAY, policy=policy) is Ruling.COUNT
    verdict = judge(policy, classify(Bounce("5.2.2")), NOW, [NOW - DAY, NOW - DAY], NOW)
    assert verdict.until == NOW + timedelta(days=7)
    for_good = Policy({"5.2.2": Threshold(2, soft=False)})
    assert ruling("5.2.2", NOW, policy=for_good) is Ruling.SUPPRESS


def test_the_closest_code_decides() -> None:
    policy = Policy({"5.x.x": AT_ONCE, "5.3.x": NEVER, "5.3.4": Threshold(2)})
    assert ruling("5.1.1", policy=policy) is Ruling.SUPPRESS
    assert ruling("5.3.0", policy=policy) is Ruling.IGNORE
    assert ruling("5.3.4", policy=policy) is Ruling.COUNT
    assert ruling("4.3.4", policy=policy) is Ruling.IGNORE


def test_what_a_complaint_stops() -> None:
    assert complaint_scope(Policy(), "acme.news") == ALL_MARKETING
    topic = Policy(complaints_stop=ComplaintStops.TOPIC)
    assert complaint_scope(topic, "acme.news") == "acme.news"
    assert complaint_scope(topic, None) == ALL_MARKETING
