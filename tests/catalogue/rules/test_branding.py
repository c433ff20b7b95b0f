"""Colours and corners of brands: what is read, and what is a fault."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from preference_center.catalogue import (
    DEFAULT_COLOURS,
    DEFAULT_RADIUS,
    PAGE_BACKGROUND,
    BrandColours,
    diff_catalogues,
    page_colours,
    parse_catalogue,
)
from preference_center.catalogue.rules.brand import PAGE_TEXT, contrast_ratio
from preference_center.core.errors import CatalogueError
from tests.catalogue.catalogues import SMALL, edited

ROOT = Path(__file__).parents[3]
CSS = (ROOT / "preference_center/web/static/pages.css").read_text(encoding="utf-8")
HEX = st.integers(0, 0xFFFFFF).map("#{:06x}".format)
LIGHT = 'colours.light = { accent = "#1f5c99", on_accent = "#FFFFFF" }'
DARK = 'colours.dark = { accent = "#8fc1ff", on_accent = "#10202f" }'


def with_brand(*lines: str) -> str:
    return edited(('name = "Acme"\n', "\n".join(('name = "Acme"', *lines)) + "\n"))


def problems(*lines: str) -> tuple[str, ...]:
    with pytest.raises(CatalogueError) as caught:
        parse_catalogue(with_brand(*lines))
    return caught.value.problems


def test_a_brand_needs_no_looks() -> None:
    brand = parse_catalogue(SMALL).brands["acme"]
    assert (brand.colours, brand.radius) == ({}, None)


def test_colours_are_read_for_light_and_dark_pages() -> None:
    brand = parse_catalogue(with_brand(LIGHT, DARK)).brands["acme"]
    assert brand.colours == {
        "light": BrandColours("#1f5c99", "#ffffff", "#ffffff", "#1b1f24"),
        "dark": BrandColours("#8fc1ff", "#10202f", "#1a1f26", "#eceff3"),
    }


def test_colours_come_for_both_or_none() -> None:
    [problem] = problems(LIGHT)
    assert problem == (
        "line 9: [brands.acme.colours] has no dark; add dark = "
        "{ accent = ..., on_accent = ..., header = ..., on_header = ... }"
    )


@pytest.mark.parametrize("colour", ["red", "#fff", "#12345g", "#ffffff; } body { display: none"])
def test_only_plain_colours_get_into_a_style_sheet(colour: str) -> None:
    [problem] = problems(LIGHT.replace("#FFFFFF", colour), DARK)
    assert "is no colour; write on_accent" in problem


def test_text_that_cannot_be_read_is_a_fault_with_its_ratio() -> None:  # WCAG 1.4.3
    [problem] = problems(LIGHT.replace("#FFFFFF", "#77aadd"), DARK)
    assert problem == (
        "line 9: light: text #77aadd on #1f5c99 has a contrast of 2.81:1, below 4.5:1"
        " (WCAG 1.4.3); take colours that lie further apart"
    )


def test_a_button_that_cannot_be_seen_is_a_fault_with_its_ratio() -> None:  # WCAG 1.4.11
    pale = 'colours.light = { accent = "#f5c04b", on_accent = "#000000" }'
    dim = 'colours.dark = { accent = "#2f3a46", on_accent = "#ffffff" }'
    light, dark = problems(pale, dim)
    assert light == (
        "line 9: light: accent #f5c04b on the page's #ffffff has a contrast of 1.67:1, below 3:1"
        " (WCAG 1.4.11); take a darker accent"
    )
    assert dark == (
        "line 10: dark: accent #2f3a46 on the page's #1a1f26 has a contrast of 1.43:1, below 3:1"
        " (WCAG 1.4.11); take a lighter accent"
    )


def test_a_ratio_is_never_rounded_up_to_what_would_do() -> None:
    grey = 'colours.light = { accent = "#777777", on_accent = "#ffffff" }'
    [problem] = problems(grey, DARK)
    assert "4.47:1, below 4.5:1" in problem


def test_the_header_is_read_and_checked_as_well() -> None:  # WCAG 1.4.3
    band = ', header = "#1f4d2b", on_header = "#fdf6e3" }'
    light = parse_catalogue(with_brand(LIGHT.replace(" }", band), DARK)).brands["acme"].colours
    assert (light["light"].header, light["light"].on_header) == ("#1f4d2b", "#fdf6e3")
    [problem] = problems(LIGHT.replace(" }", band.replace("#fdf6e3", "#2f6b3a")), DARK)
    assert problem.startswith("line 9: light: text #2f6b3a on #1f4d2b has a contrast of 1.5")


def test_a_header_has_its_text() -> None:
    assert problems(LIGHT.replace(" }", ', header = "#1f4d2b" }'), DARK) == (
        'line 9: [brands.acme.colours.light] has no on_header; add on_header = "#ffffff"',
    )


def test_a_radius_is_in_pixels() -> None:
    assert parse_catalogue(with_brand("radius = 0")).brands["acme"].radius == 0
    assert problems("radius = 25") == (
        "line 9: radius is 25; write the pixels of a corner, 0 to 24",
    )
    assert problems("radius = -1") != ()
    assert problems('radius = "4px"') == ("line 9: radius is text, not a number; write radius = 8",)
    assert problems("radius = true") == (
        "line 9: radius is true or false, not a number; write radius = 8",
    )


@given(accent=HEX, scheme=st.sampled_from(["light", "dark"]))
def test_text_can_be_read_whatever_the_accent(accent: str, scheme: str) -> None:  # WCAG 1.4.3
    assume(contrast_ratio(accent, PAGE_BACKGROUND[scheme]) >= 3)
    page = page_colours(BrandColours(accent, "#000000", "#000000", "#ffffff"), scheme)
    for ground in (PAGE_BACKGROUND[scheme], page["ground"], page["tint"]):
        for text in (page["link"], token("ink", scheme), token("soft", scheme)):
            assert contrast_ratio(text, ground) >= 4.5, (text, ground)
        assert contrast_ratio(token("edge", scheme), ground) >= 3  # of fields: 1.4.11


def test_links_have_the_accent_where_it_can_be_read() -> None:
    dark_green = BrandColours("#2f6b3a", "#ffffff", "#ffffff", "#000000")
    orange = BrandColours("#e8590c", "#000000", "#ffffff", "#000000")  # 3.6:1 on white
    assert page_colours(dark_green, "light")["link"] == "#2f6b3a"
    assert page_colours(orange, "light")["link"] == PAGE_TEXT["light"]


def token(name: str, scheme: str) -> str:
    """The value of a token of the style sheet: light stands first, then dark."""
    light, dark, *_print = re.findall(rf"--{name}: (#\w{{6}});", CSS)
    return str(light if scheme == "light" else dark)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_that_of_the_style_sheet(scheme: str) -> None:
    assert token("paper", scheme) == PAGE_BACKGROUND[scheme]
    assert token("ink", scheme) == PAGE_TEXT[scheme]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_own_colours_of_all_pages_can_be_read(scheme: str) -> None:  # WCAG 1.4.3
    grounds = {name: token(name, scheme) for name in ("paper", "ground", "tint")}
    for text in ("ink", "soft", "link"):
        for ground in grounds.values():
            assert contrast_ratio(token(text, scheme), ground) >= 4.5, (text, ground)
    for text, ground in (
        ("on-accent", "accent"),
        ("on-header", "header"),
        ("ink", "good-tint"),
        ("good", "good-tint"),
        ("bad", "bad-tint"),
        ("bad", "paper"),
        ("warn", "paper"),
    ):
        assert contrast_ratio(token(text, scheme), token(ground, scheme)) >= 4.5, (text, ground)


def test_a_change_of_colours_and_corners_is_listed() -> None:
    old, new = parse_catalogue(SMALL), parse_catalogue(with_brand(LIGHT, DARK, "radius = 6"))
    text = "\n".join(diff_catalogues(old, new).format_lines())
    assert "radius: none -> 6" in text
    assert "#ffffff on #1f5c99, header #1b1f24 on #ffffff" in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_brand_without_looks_has_those_of_the_style_sheet(scheme: str) -> None:
    colours = DEFAULT_COLOURS[scheme]
    found = (colours.accent, colours.on_accent, colours.header, colours.on_header)
    names = ("accent", "on-accent", "header", "on-header")
    assert found == tuple(token(name, scheme) for name in names)
    assert f"--radius: {DEFAULT_RADIUS / 16:g}rem".replace("0.", ".") in CSS
