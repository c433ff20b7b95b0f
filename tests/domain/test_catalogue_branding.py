"""Logos and colours of brands: what is read, and what is a fault."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from preference_center.domain.catalogue import (
    PAGE_BACKGROUND,
    BrandColours,
    diff_catalogues,
    parse_catalogue,
)
from preference_center.errors import CatalogueError
from tests.domain.catalogues import SMALL, edited

ROOT = Path(__file__).parents[2]
PNG = b"\x89PNG\r\n\x1a\n" + b"rest"
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h9" stroke="#2f6b3a"/></svg>'

LIGHT = 'colours.light = { accent = "#1f5c99", on_accent = "#FFFFFF" }'
DARK = 'colours.dark = { accent = "#8fc1ff", on_accent = "#10202f" }'


def with_brand(*lines: str) -> str:
    return edited(('name = "Acme"\n', "\n".join(('name = "Acme"', *lines)) + "\n"))


def problems(*lines: str) -> tuple[str, ...]:
    with pytest.raises(CatalogueError) as caught:
        parse_catalogue(with_brand(*lines))
    return caught.value.problems


def png(content: bytes = PNG) -> str:
    return f'logo = "data:image/png;base64,{base64.b64encode(content).decode()}"'


def test_a_brand_needs_no_looks() -> None:
    brand = parse_catalogue(SMALL).brands["acme"]
    assert (brand.logo, brand.colours) == (None, {})


def test_colours_are_read_for_light_and_dark_pages() -> None:
    brand = parse_catalogue(with_brand(LIGHT, DARK)).brands["acme"]
    assert brand.colours == {
        "light": BrandColours("#1f5c99", "#ffffff"),
        "dark": BrandColours("#8fc1ff", "#10202f"),
    }


def test_colours_come_for_both_or_none() -> None:
    assert problems(LIGHT) == (
        "line 9: [brands.acme.colours] has no dark; add dark = { accent = ..., on_accent = ... }",
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


def test_the_paper_is_that_of_the_style_sheet() -> None:
    css = (ROOT / "preference_center/static/pages.css").read_text(encoding="utf-8")
    light, dark, _print = re.findall(r"--paper: (#\w+);", css)
    assert {"light": light, "dark": dark} == PAGE_BACKGROUND


def test_a_png_is_read() -> None:
    logo = parse_catalogue(with_brand(png())).brands["acme"].logo
    assert logo
    assert (logo.media_type, logo.content) == ("image/png", PNG)


@pytest.mark.parametrize("marks", ["", ";charset=utf-8", ";utf8"])
def test_an_svg_is_read_as_it_is_or_escaped(marks: str) -> None:
    escaped = SVG.replace("<", "%3C").replace("#", "%23").replace('"', "%22")
    for written in (SVG, escaped):
        logo = (
            parse_catalogue(with_brand(f"logo = 'data:image/svg+xml{marks},{written}'"))
            .brands["acme"]
            .logo
        )
        assert logo
        assert (logo.media_type, logo.content.decode()) == ("image/svg+xml", SVG)


@pytest.mark.parametrize(
    "logo",
    [
        "https://cdn.example/logo.png",
        "data:text/html,<script>alert(1)</script>",
        "data:image/gif;base64,R0lGODlhAQABAAAAACw=",
        "data:image/png;base64,%%%",
        "data:image/png;base64,é",
        "data:image/png,",
        "data:image/png;base64,aGVsbG8=",
        "data:image/svg+xml,<html xmlns='http://www.w3.org/1999/xhtml'/>",
        "data:image/svg+xml,<svg",
        "data:image/svg+xml,<!DOCTYPE svg><svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
)
def test_a_logo_is_a_small_picture_and_nothing_else(logo: str) -> None:
    [problem] = problems(f'logo = "{logo}"')
    assert problem.startswith("line 9: logo is no ")


def test_a_logo_has_at_most_32_kib() -> None:
    parse_catalogue(with_brand(png(PNG.ljust(32 * 1024))))
    [problem] = problems(png(PNG.ljust(32 * 1024 + 1)))
    assert "logo has 32769 bytes, more than 32768" in problem


def test_a_change_of_branding_is_listed_without_the_picture() -> None:
    old, new = parse_catalogue(SMALL), parse_catalogue(with_brand(LIGHT, DARK, png()))
    text = "\n".join(diff_catalogues(old, new).format_lines())
    assert "logo: none -> image/png of 12 bytes, sha256 " in text
    assert "#ffffff on #1f5c99" in text
