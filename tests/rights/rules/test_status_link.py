"""The link of a request's status page: what it holds, and for how long it continues a visit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from preference_center.core.errors import InvalidLink
from preference_center.core.links import FormPurpose, Links
from preference_center.rights.rules.identity import (
    create_rights_status_token,
    read_rights_status_token,
    rights_status_url,
)

LINKS = Links([("k1", b"1" * 32)], "https://prefs.example.com")
NOW = datetime(2026, 11, 1, 8, 30, tzinfo=UTC)
ID = UUID("0198f1de-7c1a-7000-8000-0000000000ab")


def test_it_names_the_request_for_ever_and_proves_nothing() -> None:  # it may be forwarded
    token = create_rights_status_token(LINKS, ID, NOW)
    for age in (timedelta(0), timedelta(days=3650)):
        link = read_rights_status_token(LINKS, token, NOW + age)
        assert (link.request_id, link.proves_control) == (ID, False)


def test_it_continues_a_visit_for_as_long_as_that_lasts() -> None:
    token = create_rights_status_token(LINKS, ID, NOW, visit_began_at=NOW - timedelta(minutes=10))
    at_end = NOW + timedelta(minutes=20)
    assert read_rights_status_token(LINKS, token, at_end).proves_control
    late = read_rights_status_token(LINKS, token, at_end + timedelta(seconds=1))
    assert (late.request_id, late.proves_control) == (ID, False)


def test_it_is_at_the_brands_host() -> None:
    url = rights_status_url(LINKS, ID, NOW, "acme.example")
    assert url.startswith("https://acme.example/rights/status/k1.")
    assert rights_status_url(LINKS, ID, NOW).startswith("https://prefs.example.com/")


def test_nothing_else_that_we_sealed_is_read_as_one() -> None:
    other = LINKS.seal_form(FormPurpose.UNDO, {"request": str(ID)}, NOW)
    token = create_rights_status_token(LINKS, ID, NOW)
    for wrong in (other, token[:-1], "", "k1.x"):
        with pytest.raises(InvalidLink):
            read_rights_status_token(LINKS, wrong, NOW)
