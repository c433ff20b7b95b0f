"""Contrast as WCAG 2.2 measures it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference_center.catalogue.rules.brand import (
    MIN_NON_TEXT_CONTRAST,
    MIN_TEXT_CONTRAST,
    contrast_ratio,
    is_hex_colour,
)

colours = st.integers(0, 0xFFFFFF).map("#{:06x}".format)


@pytest.mark.parametrize(
    "one, other, ratio",
    [
        ("#000000", "#ffffff", 21.0),
        ("#ffffff", "#ffffff", 1.0),
        ("#777777", "#ffffff", 4.478),  # the grey just short of 4.5, and the one just past it
        ("#767676", "#ffffff", 4.542),
        ("#ff0000", "#ffffff", 3.998),
        ("#0000ff", "#ffffff", 8.592),
        ("#00ff00", "#ffffff", 1.372),
    ],
)
def test_known_ratios(one: str, other: str, ratio: float) -> None:
    assert contrast_ratio(one, other) == pytest.approx(ratio, abs=0.001)


@given(colours, colours)
def test_lies_between_1_and_21_whichever_comes_first(one: str, other: str) -> None:
    assert contrast_ratio(one, other) == contrast_ratio(other, one)
    assert 1 <= contrast_ratio(one, other) <= 21.000001


@given(colours)
def test_black_or_white_can_be_read_on_every_colour(colour: str) -> None:
    assert (
        max(contrast_ratio(colour, "#000000"), contrast_ratio(colour, "#ffffff"))
        > MIN_TEXT_CONTRAST
        > MIN_NON_TEXT_CONTRAST
    )


@pytest.mark.parametrize("text", ["", "#fff", "ffffff", "#ffffff;", "#gggggg", "red", "#ffffff\n"])
def test_only_six_digits_are_a_colour(text: str) -> None:
    assert not is_hex_colour(text)
