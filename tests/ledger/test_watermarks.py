from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference_center.core.errors import InvalidWatermark
from preference_center.ledger.watermarks import Watermark, parse_watermark

WATERMARKS = st.builds(
    Watermark,
    st.from_regex(r"[0-9a-f]{8}", fullmatch=True),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**63 - 1),
)


@given(WATERMARKS)
def test_a_watermark_survives_its_text_and_stands_in_a_url_as_it_is(watermark: Watermark) -> None:
    assert parse_watermark(str(watermark)) == watermark
    assert re.fullmatch(r"[A-Za-z0-9._~-]{1,60}", str(watermark))


@given(st.text(max_size=40) | st.from_regex(r"[0-9a-f]{8}\.[0-9]{1,22}\.[0-9]{1,22}"))
def test_whatever_is_read_is_written_the_same(text: str) -> None:
    with suppress(InvalidWatermark):
        assert str(parse_watermark(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9f86d081",
        "9f86d081.1",
        "9f86d081.01.1",
        "9f86d081.1.00",
        "9F86D081.1.1",
        "9f86d081.1.1\n",
        " 9f86d081.1.1",
        "9f86d081.-1.1",
        "9f86d081.1.١",
        "9f86d081.18446744073709551616.0",
        "9f86d081.0.9223372036854775808",
    ],
)
def test_anything_else_is_no_watermark(text: str) -> None:
    with pytest.raises(InvalidWatermark):
        parse_watermark(text)


@pytest.mark.parametrize("fields", [("x", 1, 1), ("9f86d081", -1, 0), ("9f86d081", 1, 2**63)])
def test_none_is_made_that_could_not_be_read(fields: tuple[str, int, int]) -> None:
    with pytest.raises(ValueError, match=r"epoch is|xid has"):
        Watermark(*fields)
