"""The order of entries of several kinds, and where the next page begins."""

from __future__ import annotations

from datetime import timedelta

import pytest

from preference_center.contacts.rules.statements import (
    NEWEST,
    EntryKind,
    TimelineKey,
    parse_timeline_key,
)
from preference_center.core.errors import InvalidInput
from tests.clock import START

KEYS = [
    TimelineKey(START + timedelta(microseconds=at), kind, number)
    for at in range(3)
    for kind in EntryKind
    for number in range(3)
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_the_bound_of_a_kind_leaves_exactly_what_is_older(key: TimelineKey) -> None:
    for kind in EntryKind:
        of_kind = [other for other in KEYS if other.kind is kind]
        older = [other for other in of_kind if (other.at, other.number) < key.bound(kind)]
        assert older == [other for other in of_kind if other < key]


@pytest.mark.parametrize("key", [*KEYS[:4], NEWEST])
def test_a_key_survives_a_url(key: TimelineKey) -> None:
    assert parse_timeline_key(key.to_text()) == key
    assert parse_timeline_key("") == NEWEST


@pytest.mark.parametrize(
    "text", ["x", "1-2", "1-9-1", "1-2--3", "99999999999999999999999-1-1", "1-1-1-1"]
)
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_timeline_key(text)
