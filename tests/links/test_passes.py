"""Passes: what proves control of an address, for how long, and through which door."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from preference_center.domain.addresses import Channel, parse
from preference_center.domain.events import ALL_MARKETING
from preference_center.errors import ExpiredLink, InvalidLink
from preference_center.links import LIFETIMES, Link, Links, Use
from preference_center.links.link_payload import pack
from preference_center.links.sealer import Sealer

RING = [("k1", b"1" * 32)]
LINKS = Links(RING, "https://prefs.example.com")
NOW = datetime(2026, 11, 1, 8, 30, tzinfo=UTC)
ADDRESS = parse("jane.doe@example.com", Channel.EMAIL)
ID = UUID("0198f1de-7c1a-7000-8000-0000000000ab")
SECOND = timedelta(seconds=1)
MESSAGE = LINKS.make(Link(ADDRESS, "news", str(ID), NOW))

passes = pytest.mark.parametrize("use", [Use.PAGE, Use.MAILED, Use.PORTAL])


def made(use: Use, at: datetime = NOW) -> str:
    return LINKS.make_pass(use, ADDRESS, ID, at)


@passes
def test_a_pass_proves_until_its_time_is_over(use: Use) -> None:
    link = LINKS.read_pass(made(use), use, NOW + LIFETIMES[use])
    assert (link.address, link.message_id, link.scope) == (ADDRESS, str(ID), ALL_MARKETING)
    assert link.proven
    with pytest.raises(ExpiredLink):
        LINKS.read_pass(made(use), use, NOW + LIFETIMES[use] + SECOND)


@passes
def test_a_pass_opens_its_own_door_only(use: Use) -> None:
    for other in set(Use) - {use}:
        with pytest.raises(InvalidLink):
            LINKS.read_pass(made(use), other, NOW)


def test_the_link_of_a_message_proves_nothing_at_any_age() -> None:  # links get forwarded
    for age in (timedelta(0), timedelta(days=3650)):
        link = LINKS.read(MESSAGE, NOW + age)
        assert not link.proven
        assert not link.expired
    for use in LIFETIMES:
        with pytest.raises(InvalidLink):
            LINKS.read_pass(MESSAGE, use, NOW)


def test_a_mailed_pass_is_no_page_before_it_is_spent() -> None:
    for use in (Use.MAILED, Use.PORTAL):
        with pytest.raises(InvalidLink):
            LINKS.read(made(use), NOW)


def test_a_page_left_open_can_say_no_but_proves_nothing_any_more() -> None:
    half_an_hour = NOW + timedelta(minutes=30)
    assert LINKS.read(made(Use.PAGE), half_an_hour).proven
    late = LINKS.read(made(Use.PAGE), half_an_hour + SECOND)
    assert late.expired
    assert not late.proven


def test_proof_can_not_be_made_by_setting_a_field() -> None:
    token = LINKS.make(Link(ADDRESS, "news", str(ID), NOW, proven=True))
    assert not LINKS.read(token, NOW).proven


@pytest.mark.parametrize("token", [MESSAGE, *map(made, LIFETIMES)])
def test_a_fresh_link_can_be_mailed_for_any_token_of_ours(token: str) -> None:
    assert LINKS.address_of(token) == ADDRESS


def test_passes_can_be_neither_altered_nor_read() -> None:  # I12
    token = made(Use.MAILED)
    for at in range(len(token)):
        other = "A" if token[at] != "A" else "B"
        with pytest.raises(InvalidLink):
            LINKS.read_pass(token[:at] + other + token[at + 1 :], Use.MAILED, NOW)
    assert "jane" not in token


def test_a_use_of_a_newer_version_of_ours_is_refused() -> None:
    octets = bytearray(pack(Link(ADDRESS, ALL_MARKETING, "", NOW)))
    octets[0] |= 0xE0
    token = Sealer(RING, "link").seal(bytes(octets))
    for read in (LINKS.address_of, lambda token: LINKS.read(token, NOW)):
        with pytest.raises(InvalidLink):
            read(token)


def test_each_pass_has_its_path() -> None:
    begin = "https://prefs.example.com"
    for use, path in ((Use.PAGE, "p"), (Use.MAILED, "m"), (Use.PORTAL, "portal")):
        assert LINKS.pass_url(use, ADDRESS, ID, NOW) == f"{begin}/{path}/{made(use)}"
