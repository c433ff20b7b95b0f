"""One-time tokens: what proves control of an address, and for how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import ExpiredLink, InvalidLink
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links import Links
from preference_center.core.links.tokens import LIFETIMES, Link, Sealer, TokenPurpose, pack_link

RING = [("k1", b"1" * 32)]
LINKS = Links(RING, "https://prefs.example.com")
NOW = datetime(2026, 11, 1, 8, 30, tzinfo=UTC)
ADDRESS = parse_address("jane.doe@example.com", Channel.EMAIL)
ID = UUID("0198f1de-7c1a-7000-8000-0000000000ab")
SECOND = timedelta(seconds=1)
MESSAGE = LINKS.create_token(Link(ADDRESS, "news", str(ID), NOW))

passes = pytest.mark.parametrize(
    "use",
    [
        TokenPurpose.PAGE_VISIT,
        TokenPurpose.EMAILED_LINK,
        TokenPurpose.PORTAL,
        TokenPurpose.RIGHTS,
    ],
)


def made(use: TokenPurpose, at: datetime = NOW) -> str:
    return LINKS.create_one_time_token(use, ADDRESS, ID, at)


@passes
def test_a_pass_proves_until_its_time_is_over(use: TokenPurpose) -> None:
    link = LINKS.read_one_time_token(made(use), use, NOW + LIFETIMES[use])
    assert (link.address, link.message_id, link.scope) == (ADDRESS, str(ID), ALL_MARKETING)
    assert link.proves_control
    with pytest.raises(ExpiredLink):
        LINKS.read_one_time_token(made(use), use, NOW + LIFETIMES[use] + SECOND)


@passes
def test_a_token_is_read_for_its_own_purpose_only(use: TokenPurpose) -> None:
    for other in set(TokenPurpose) - {use}:
        with pytest.raises(InvalidLink):
            LINKS.read_one_time_token(made(use), other, NOW)


def test_the_link_of_a_message_proves_nothing_at_any_age() -> None:  # links get forwarded
    for age in (timedelta(0), timedelta(days=3650)):
        link = LINKS.read_token(MESSAGE, NOW + age)
        assert not link.proves_control
        assert not link.expired
    for use in LIFETIMES:
        with pytest.raises(InvalidLink):
            LINKS.read_one_time_token(MESSAGE, use, NOW)


def test_an_emailed_token_is_no_page_visit_before_it_is_consumed() -> None:
    for use in (TokenPurpose.EMAILED_LINK, TokenPurpose.PORTAL):
        with pytest.raises(InvalidLink):
            LINKS.read_token(made(use), NOW)


def test_a_page_left_open_can_say_no_but_proves_nothing_any_more() -> None:
    half_an_hour = NOW + timedelta(minutes=30)
    assert LINKS.read_token(made(TokenPurpose.PAGE_VISIT), half_an_hour).proves_control
    late = LINKS.read_token(made(TokenPurpose.PAGE_VISIT), half_an_hour + SECOND)
    assert late.expired
    assert not late.proves_control


def test_proof_can_not_be_made_by_setting_a_field() -> None:
    token = LINKS.create_token(Link(ADDRESS, "news", str(ID), NOW, proves_control=True))
    assert not LINKS.read_token(token, NOW).proves_control


@pytest.mark.parametrize("token", [MESSAGE, *map(made, LIFETIMES)])
def test_a_fresh_link_can_be_mailed_for_any_token_of_ours(token: str) -> None:
    assert LINKS.address_of(token) == ADDRESS


def test_passes_can_be_neither_altered_nor_read() -> None:  # I12
    token = made(TokenPurpose.EMAILED_LINK)
    for at in range(len(token)):
        other = "A" if token[at] != "A" else "B"
        with pytest.raises(InvalidLink):
            LINKS.read_one_time_token(
                token[:at] + other + token[at + 1 :], TokenPurpose.EMAILED_LINK, NOW
            )
    assert "jane" not in token


def test_a_use_of_a_newer_version_of_ours_is_refused() -> None:
    data = bytearray(pack_link(Link(ADDRESS, ALL_MARKETING, "", NOW)))
    data[0] |= 0xE0
    token = Sealer(RING, "link").seal(bytes(data))
    for read in (LINKS.address_of, lambda token: LINKS.read_token(token, NOW)):
        with pytest.raises(InvalidLink):
            read(token)


def test_each_pass_has_its_path() -> None:
    begin = "https://prefs.example.com"
    for use, path in (
        (TokenPurpose.PAGE_VISIT, "p"),
        (TokenPurpose.EMAILED_LINK, "m"),
        (TokenPurpose.PORTAL, "portal"),
    ):
        assert LINKS.one_time_url(use, ADDRESS, ID, NOW) == f"{begin}/{path}/{made(use)}"
