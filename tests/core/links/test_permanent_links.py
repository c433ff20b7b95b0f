"""Tokens of permanent links and of probes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import InvalidLink, ProbeLink
from preference_center.core.links import Links
from preference_center.core.links.tokens import Link, TokenPurpose
from tests.core.links.registry import FakeRegistry

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
NOW = datetime(2036, 11, 1, tzinfo=UTC)
REGISTRY = FakeRegistry()
LINKS = Links([("k1", b"1" * 32)], "https://prefs.example.com", registry=REGISTRY)
LINK = Link(parse_address("ada@example.com", Channel.EMAIL), "news", "", BEGAN, destination_id=3)
TOKEN = LINKS.create_permanent_token(LINK)


@pytest.fixture(autouse=True)
def _begun() -> None:
    REGISTRY.permanent = {3: BEGAN}


def test_a_permanent_link_is_the_same_whenever_it_is_made() -> None:
    assert LINKS.create_permanent_token(LINK) == TOKEN


def test_it_reads_as_long_as_it_stands_and_proves_nothing() -> None:  # I7
    link = LINKS.read_token(TOKEN, NOW)
    assert (link.scope, link.message_id, link.destination_id) == ("news", "", 3)
    assert (link.issued_at, link.key_id) == (BEGAN, "k1")
    assert (link.revoked, link.proves_control, link.expired) == (False, False, False)


def test_it_is_revoked_by_a_newer_beginning_and_still_opts_out() -> None:
    REGISTRY.permanent = {3: BEGAN + timedelta(seconds=1), 4: BEGAN}
    assert LINKS.read_token(TOKEN, NOW).revoked
    assert LINKS.address_of(TOKEN) == LINK.address


def test_of_a_destination_that_nobody_knows_it_opts_out_too() -> None:
    REGISTRY.permanent = {}
    assert LINKS.read_token(TOKEN, NOW).scope == "news"


@pytest.mark.parametrize(
    "use", [TokenPurpose.EMAILED_LINK, TokenPurpose.PORTAL, TokenPurpose.PAGE_VISIT]
)
def test_it_is_no_pass(use: TokenPurpose) -> None:
    with pytest.raises(InvalidLink):
        LINKS.read_one_time_token(TOKEN, use, BEGAN)


def test_a_probe_names_nobody() -> None:
    probe = LINKS.create_probe_token(NOW)
    with pytest.raises(ProbeLink):
        LINKS.read_token(probe, NOW)
    with pytest.raises(ProbeLink):
        LINKS.address_of(probe)
    with pytest.raises(InvalidLink):
        LINKS.read_one_time_token(probe, TokenPurpose.EMAILED_LINK, NOW)


def test_a_brand_with_a_host_has_its_links_there() -> None:
    assert LINKS.unsubscribe_url("t", "acme.example.com") == "https://acme.example.com/u/t"
    assert LINKS.preferences_url("t", None) == "https://prefs.example.com/p/t"
    local = Links([("k1", b"1" * 32)], "http://localhost:8000")
    assert local.preferences_url("t", "acme.example.com") == "http://localhost:8000/p/t"
