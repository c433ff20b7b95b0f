"""What is a burst, and what are people's own opt-outs."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.bursts import (
    SHARED_DOMAINS,
    BurstRule,
    LinkOptOut,
    burst_domain,
    find_bursts,
)

SENT = datetime(2026, 11, 26, 9, tzinfo=UTC)
RULE = BurstRule()


def acts(
    *seconds: float, domain: bytes = b"acme", first: int = 1, sent: datetime = SENT
) -> list[LinkOptOut]:
    """One opt-out of another address at each of these seconds after the send."""
    return [
        LinkOptOut(UUID(int=n), n, domain, sent + timedelta(seconds=s), sent, f"m{n}")
        for n, s in enumerate(seconds, first)
    ]


def sizes(given: list[LinkOptOut], rule: BurstRule = RULE) -> list[int]:
    return [len(burst.opt_outs) for burst in find_bursts(given, rule)]


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


def test_one_address_that_opts_out_often_is_one() -> None:
    again = [LinkOptOut(UUID(int=n), 7, b"acme", SENT, SENT, "m") for n in range(20)]
    assert sizes(again) == []


def test_domains_are_apart() -> None:
    few = [*acts(1, 2, 3), *acts(1, 2, 3, domain=b"other", first=10)]
    assert sizes(few) == []
    both = [*acts(*range(5)), *acts(*range(7), domain=b"other", first=10)]
    assert sorted(sizes(both)) == [5, 7]


def test_each_link_has_its_own_send() -> None:
    old = acts(*range(5), sent=SENT - timedelta(days=3))
    late = [
        LinkOptOut(a.event_id, a.address_id, a.domain_digest, SENT, a.link_issued_at, a.message_id)
        for a in old
    ]
    assert sizes(late) == []


def test_the_thresholds_are_the_companys() -> None:
    assert sizes(acts(1, 2, 3), BurstRule(min_addresses=3)) == [3]
    assert sizes(acts(1, 40, 80, 120, 160), BurstRule(window=timedelta(minutes=5))) == [5]
    assert sizes(acts(*range(3600, 3605)), BurstRule(max_delay=timedelta(hours=2))) == [5]


def test_the_order_of_acts_changes_nothing() -> None:
    given = [*acts(*range(30)), *acts(*range(400, 410), first=50), *acts(3, 200, first=70)]
    expected = find_bursts(given, RULE)
    for seed in range(5):
        shuffled = random.Random(seed).sample(given, len(given))
        assert find_bursts(shuffled, RULE) == expected


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
    assert burst_domain(parse_address(address, Channel.EMAIL)) == domain


def test_a_phone_number_has_no_domain() -> None:
    assert burst_domain(parse_address("+393331234567", Channel.SMS)) is None
    assert all(domain == domain.lower() and "@" not in domain for domain in SHARED_DOMAINS)
