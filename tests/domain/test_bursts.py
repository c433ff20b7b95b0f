"""What is a burst, and what is people saying no."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from preference_center.domain.addresses import Channel, parse
from preference_center.domain.bursts import SHARED, Act, Rule, bursts, domain_of

SENT = datetime(2026, 11, 26, 9, tzinfo=UTC)
RULE = Rule()


def acts(
    *seconds: float, domain: bytes = b"acme", first: int = 1, sent: datetime = SENT
) -> list[Act]:
    """One opt-out of another address at each of these seconds after the send."""
    return [
        Act(UUID(int=n), n, domain, sent + timedelta(seconds=s), sent, f"m{n}")
        for n, s in enumerate(seconds, first)
    ]


def sizes(given: list[Act], rule: Rule = RULE) -> list[int]:
    return [len(burst.acts) for burst in bursts(given, rule)]


@pytest.mark.parametrize(
    "seconds, expected",
    [
        ((), []),
        ((1, 1, 1, 1), []),
        ((1, 1, 1, 1, 1), [5]),
        ((0, 15, 30, 45, 60), [5]),
        ((0, 16, 32, 48, 64), []),
        ((590, 591, 592, 593, 600), [5]),
        ((590, 591, 592, 593, 601), []),  # too long after the send
        (tuple(range(40)), [40]),
        ((*range(0, 200, 10),), [20]),  # windows that overlap are one
        ((1, 2, 3, 4, 5, 301, 302, 303, 304, 305), [5, 5]),
        ((1, 2, 3, 4, 5, 66), [5]),
        ((1, 2, 3, 4, 5, 61), [6]),
    ],
)
def test_many_of_a_domain_at_once_right_after_a_send(
    seconds: tuple[float, ...], expected: list[int]
) -> None:
    assert sizes(acts(*seconds)) == expected


def test_one_address_that_says_it_often_is_one() -> None:
    again = [Act(UUID(int=n), 7, b"acme", SENT, SENT, "m") for n in range(20)]
    assert sizes(again) == []


def test_domains_are_apart() -> None:
    few = [*acts(1, 2, 3), *acts(1, 2, 3, domain=b"other", first=10)]
    assert sizes(few) == []
    both = [*acts(*range(5)), *acts(*range(7), domain=b"other", first=10)]
    assert sorted(sizes(both)) == [5, 7]


def test_each_link_has_its_own_send() -> None:
    old = acts(*range(5), sent=SENT - timedelta(days=3))
    late = [Act(a.event, a.address, a.domain, SENT, a.issued_at, a.message) for a in old]
    assert sizes(late) == []


def test_the_thresholds_are_the_companys() -> None:
    assert sizes(acts(1, 2, 3), Rule(addresses=3)) == [3]
    assert sizes(acts(1, 40, 80, 120, 160), Rule(within=timedelta(minutes=5))) == [5]
    assert sizes(acts(*range(3600, 3605)), Rule(after=timedelta(hours=2))) == [5]


def test_the_order_of_acts_changes_nothing() -> None:
    given = [*acts(*range(30)), *acts(*range(400, 410), first=50), *acts(3, 200, first=70)]
    expected = bursts(given, RULE)
    for seed in range(5):
        shuffled = random.Random(seed).sample(given, len(given))
        assert bursts(shuffled, RULE) == expected


@pytest.mark.parametrize(
    "address, domain",
    [
        ("Jane.Doe@Acme-Corp.example.com", "acme-corp.example.com"),
        ("jane@müller.example.org", "xn--mller-kva.example.org"),
        ("jane@gmail.com", None),
        ("jane@yahoo.it", None),
        ("jane@libero.it", None),
    ],
)
def test_a_shared_domain_is_nobodys_in_particular(address: str, domain: str | None) -> None:
    assert domain_of(parse(address, Channel.EMAIL)) == domain


def test_a_phone_number_has_no_domain() -> None:
    assert domain_of(parse("+393331234567", Channel.SMS)) is None
    assert all(domain == domain.lower() and "@" not in domain for domain in SHARED)
