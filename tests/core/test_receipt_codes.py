"""References are short, say nothing personal, and survive being read out."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference_center.core.errors import InvalidInput
from preference_center.core.events import format_receipt_code, parse_receipt_code, uuid7

EVENT = UUID("01a2104d-c77e-713c-81dc-afd2fc922a1f")


@given(st.uuids())
def test_a_reference_leads_back_to_its_event(event: UUID) -> None:
    first, last = parse_receipt_code(format_receipt_code(event))
    assert first <= event <= last


def test_it_is_four_groups_of_four() -> None:
    groups = format_receipt_code(EVENT).split("-")
    assert [len(group) for group in groups] == [4, 4, 4, 4]


def test_it_may_be_written_as_people_write() -> None:
    written = format_receipt_code(EVENT)
    spoken = written.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert parse_receipt_code(f"  {spoken} ") == parse_receipt_code(written)


@given(st.uuids(), st.integers(0, 15), st.integers(1, 31))
def test_one_wrong_character_is_noticed(event: UUID, place: int, shift: int) -> None:
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    plain = format_receipt_code(event).replace("-", "")
    wrong = alphabet[(alphabet.index(plain[place]) + shift) % 32]
    with pytest.raises(InvalidInput, match="character"):
        parse_receipt_code(plain[:place] + wrong + plain[place + 1 :])


@pytest.mark.parametrize("text", ["", "1C4K", "1C4K-8X2M-Q7RV-3F5D-1", "1C4K-8X2M-Q7RV-3FU!"])
def test_what_is_no_reference_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InvalidInput, match="reference") as caught:
        parse_receipt_code(text)
    assert not text or text not in str(caught.value)


def test_events_of_one_millisecond_have_references_of_their_own() -> None:
    now, random = datetime(2026, 11, 25, tzinfo=UTC), Random(1)
    references = {format_receipt_code(uuid7(now, random.getrandbits(80))) for _ in range(200)}
    assert len(references) == 200
