"""The policy: how many bounces on how many days, for how long, and what a complaint stops."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from preference_center.core.bounces import (
    AT_ONCE,
    NEVER,
    Bounce,
    BounceActionKind,
    BounceThreshold,
    ComplaintStops,
    DeliverabilityPolicy,
    classify_bounce,
    complaint_scope,
    evaluate_bounce,
)
from preference_center.core.events import ALL_MARKETING
from tests.clock import START

NOW = START
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def ruling(
    code: str,
    *earlier: datetime,
    at: datetime = NOW,
    now: datetime = NOW,
    policy: DeliverabilityPolicy = DeliverabilityPolicy(),  # noqa: B008 - it is frozen
) -> BounceActionKind:
    return evaluate_bounce(policy, classify_bounce(Bounce(code)), at, earlier, now).kind


def test_one_bounce_suppresses_for_good_where_the_mailbox_is_gone() -> None:  # F10
    action = evaluate_bounce(DeliverabilityPolicy(), classify_bounce(Bounce("5.1.1")), NOW, [], NOW)
    assert (action.kind, action.until) == (BounceActionKind.SUPPRESS, None)


def test_two_bounces_on_two_days_suppress_for_a_time() -> None:  # F10
    assert ruling("5.1.2") is BounceActionKind.COUNT
    assert ruling("5.1.2", NOW - HOUR) is BounceActionKind.COUNT  # the same day in UTC
    action = evaluate_bounce(
        DeliverabilityPolicy(), classify_bounce(Bounce("5.1.2")), NOW, [NOW - DAY], NOW
    )
    assert action.kind is BounceActionKind.SUPPRESS_TEMPORARILY
    assert action.until == NOW + timedelta(days=30)


def test_the_order_in_which_bounces_are_reported_does_not_matter() -> None:
    for at, other in ((NOW, NOW - DAY), (NOW - DAY, NOW)):
        assert ruling("5.1.2", other, at=at) is BounceActionKind.SUPPRESS_TEMPORARILY


def test_days_are_those_of_utc() -> None:
    midnight = NOW.replace(hour=0, minute=0)
    minute = timedelta(minutes=1)
    assert ruling("5.2.1", midnight - minute, at=midnight) is BounceActionKind.SUPPRESS_TEMPORARILY
    assert (
        ruling("5.2.1", midnight, at=midnight + 23 * HOUR, now=NOW + DAY) is BounceActionKind.COUNT
    )


def test_an_old_bounce_counts_no_more() -> None:
    policy = DeliverabilityPolicy(counting_window=timedelta(days=10))
    assert ruling("5.1.2", NOW - 9 * DAY, policy=policy) is BounceActionKind.SUPPRESS_TEMPORARILY
    assert ruling("5.1.2", NOW - 10 * DAY, policy=policy) is BounceActionKind.COUNT
    assert ruling("5.1.2", at=NOW - 10 * DAY, policy=policy) is BounceActionKind.IGNORE


def test_what_would_have_ended_already_is_not_begun() -> None:
    old = NOW - 31 * DAY
    assert ruling("5.1.2", old - DAY, at=old) is BounceActionKind.COUNT


@pytest.mark.parametrize("code", ["5.2.2", "5.4.7", "5.7.1", "4.2.2", "4.1.1"])
def test_what_never_suppresses_does_not_however_often_it_comes(code: str) -> None:  # F10
    days = [NOW - number * DAY for number in range(1, 80)]
    assert ruling(code, *days) is BounceActionKind.IGNORE


def test_a_company_may_count_full_mailboxes() -> None:
    policy = DeliverabilityPolicy(
        {"5.2.2": BounceThreshold(3, days=2)}, temporary_duration=timedelta(days=7)
    )
    assert ruling("5.2.2", NOW - DAY, policy=policy) is BounceActionKind.COUNT
    action = evaluate_bounce(
        policy, classify_bounce(Bounce("5.2.2")), NOW, [NOW - DAY, NOW - DAY], NOW
    )
    assert action.until == NOW + timedelta(days=7)
    for_good = DeliverabilityPolicy({"5.2.2": BounceThreshold(2, temporary=False)})
    assert ruling("5.2.2", NOW, policy=for_good) is BounceActionKind.SUPPRESS


def test_the_closest_code_decides() -> None:
    policy = DeliverabilityPolicy({"5.x.x": AT_ONCE, "5.3.x": NEVER, "5.3.4": BounceThreshold(2)})
    assert ruling("5.1.1", policy=policy) is BounceActionKind.SUPPRESS
    assert ruling("5.3.0", policy=policy) is BounceActionKind.IGNORE
    assert ruling("5.3.4", policy=policy) is BounceActionKind.COUNT
    assert ruling("4.3.4", policy=policy) is BounceActionKind.IGNORE


def test_what_a_complaint_stops() -> None:
    assert complaint_scope(DeliverabilityPolicy(), "acme.news") == ALL_MARKETING
    topic = DeliverabilityPolicy(complaints_stop=ComplaintStops.TOPIC)
    assert complaint_scope(topic, "acme.news") == "acme.news"
    assert complaint_scope(topic, None) == ALL_MARKETING
