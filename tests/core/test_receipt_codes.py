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


def test_a_reference_on_paper_is_found_by_every_later_version() -> None:
    assert format_receipt_code(EVENT) == "06H1-0KE7-FSRK-S0EP"
    assert parse_receipt_code("06H1-0KE7-FSRK-S0EP") == (
        UUID("01a2104d-c77e-713c-81c0-000000000000"),
        UUID("01a2104d-c77e-713c-81df-ffffffffffff"),
    )


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


def test_of_a_wrong_length_it_says_the_right_one() -> None:
    with pytest.raises(InvalidInput, match="has 16 letters and digits"):
        parse_receipt_code("1C4K")


def test_a_character_that_no_reference_has_is_refused_whatever_the_check_says() -> None:
    assert format_receipt_code(UUID(int=30 << 123)) == "Y000-0000-0000-0003"
    with pytest.raises(InvalidInput, match="character"):
        parse_receipt_code("!000-0000-0000-0003")


def test_the_id_of_an_event_is_a_uuid_of_version_7() -> None:  # RFC 9562, 5.7
    now = datetime(2026, 11, 25, tzinfo=UTC)
    assert uuid7(now, 0) == UUID("01a21000-8800-7000-8000-000000000000")
    assert uuid7(now, 1 << 62) == UUID("01a21000-8800-7001-8000-000000000000")
    assert uuid7(now, (1 << 80) - 1) == UUID("01a21000-8800-7fff-bfff-ffffffffffff")


def test_events_of_one_millisecond_have_references_of_their_own() -> None:
    now, random = datetime(2026, 11, 25, tzinfo=UTC), Random(1)
    references = {format_receipt_code(uuid7(now, random.getrandbits(80))) for _ in range(200)}
    assert len(references) == 200
