"""Pictures and fonts of brands: what is read, what is a fault, and files put into the text."""

from __future__ import annotations

import base64

import pytest

from preference_center.catalogue import (
    BrandFile,
    BrandLogo,
    FontFallback,
    diff_catalogues,
    inline_files,
    parse_catalogue,
)
from preference_center.core.errors import CatalogueError
from tests.catalogue.catalogues import SMALL, edited

PNG = b"\x89PNG\r\n\x1a\n" + b"rest"
WOFF2 = b"wOF2" + b"rest"
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h9" stroke="#2f6b3a"/></svg>'
PICTURES = {"logo": 32, "favicon": 16, "illustration": 48}  # KiB at most


def with_brand(*lines: str) -> str:
    return edited(('name = "Acme"\n', "\n".join(('name = "Acme"', *lines)) + "\n"))


def problems(*lines: str) -> tuple[str, ...]:
    with pytest.raises(CatalogueError) as caught:
        parse_catalogue(with_brand(*lines))
    return caught.value.problems


def uri(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def test_a_brand_needs_no_files() -> None:
    brand = parse_catalogue(SMALL).brands["acme"]
    assert (brand.logo, brand.favicon, brand.illustration, brand.font) == (None,) * 4


def test_a_logo_is_one_for_all_pages_or_one_each_for_light_and_dark() -> None:
    light, dark = BrandFile("image/png", PNG), BrandFile("image/png", PNG + b"2")
    one = parse_catalogue(with_brand(f'logo = "{uri(PNG)}"')).brands["acme"].logo
    assert one == BrandLogo(light, light)
    lines = (f'logo.light = "{uri(PNG)}"', f'logo.dark = "{uri(PNG + b"2")}"')
    assert parse_catalogue(with_brand(*lines)).brands["acme"].logo == BrandLogo(light, dark)
    assert problems(lines[0]) == (
        'line 9: [brands.acme.logo] has no dark; add dark = "file:logo.svg"',
    )


@pytest.mark.parametrize("marks", ["", ";charset=utf-8", ";utf8"])
def test_an_svg_is_read_as_it_is_or_escaped(marks: str) -> None:
    escaped = SVG.replace("<", "%3C").replace("#", "%23").replace('"', "%22")
    for written in (SVG, escaped):
        line = f"favicon = 'data:image/svg+xml{marks},{written}'"
        favicon = parse_catalogue(with_brand(line)).brands["acme"].favicon
        assert favicon == BrandFile("image/svg+xml", SVG.encode())


@pytest.mark.parametrize("key", PICTURES)
@pytest.mark.parametrize(
    "picture",
    [
        "https://cdn.example/logo.png",
        "file:logo.png",
        "data:text/html,<script>alert(1)</script>",
        "data:image/gif;base64,R0lGODlhAQABAAAAACw=",
        "data:image/png;base64,%%%",
        "data:image/png;base64,é",
        "data:image/png,",
        "data:image/png;base64,aGVsbG8=",
        "data:image/svg+xml,<html xmlns='http://www.w3.org/1999/xhtml'/>",
        "data:image/svg+xml,<svg",
        "data:image/svg+xml,<!DOCTYPE svg><svg xmlns='http://www.w3.org/2000/svg'/>",
        uri(WOFF2, "font/woff2"),
    ],
)
def test_a_picture_is_png_or_svg_and_nothing_else(key: str, picture: str) -> None:
    [problem] = problems(f'{key} = "{picture}"')
    assert problem.startswith(f"line 9: {key} is no ")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
@pytest.mark.parametrize("doctype", ["", "<!DOCTYPE svg>"])
def test_an_svg_is_in_utf_8_as_it_is_served(encoding: str, doctype: str) -> None:
    declaration = f'<?xml version="1.0" encoding="{encoding.removesuffix("-le")}"?>'
    svg = f"{declaration}{doctype}{SVG.replace('M0', 'é')}".encode(encoding)
    [problem] = problems(f'favicon = "{uri(svg, "image/svg+xml")}"')
    assert "favicon is no image/svg+xml" in problem


@pytest.mark.parametrize("key, limit", PICTURES.items())
def test_a_picture_has_a_limit(key: str, limit: int) -> None:
    parse_catalogue(with_brand(f'{key} = "{uri(PNG.ljust(limit * 1024))}"'))
    [problem] = problems(f'{key} = "{uri(PNG.ljust(limit * 1024 + 1))}"')
    assert f"{key} has {limit * 1024 + 1} bytes, more than {limit * 1024};" in problem


def test_a_font_has_one_weight_and_a_sans_serif_instead_by_default() -> None:
    font = (
        parse_catalogue(with_brand(f'font.file = "{uri(WOFF2, "font/woff2")}"')).brands["acme"].font
    )
    assert font
    assert (font.file.content, font.weights, font.fallback) == (
        WOFF2,
        (400, 400),
        FontFallback.SANS_SERIF,
    )


def test_a_font_may_vary_in_weight() -> None:
    line = f'font = {{ file = "{uri(WOFF2, "font/woff2")}", weights = [300, 800],'
    line += ' fallback = "serif" }'
    font = parse_catalogue(with_brand(line)).brands["acme"].font
    assert font
    assert (font.weights, font.fallback) == ((300, 800), FontFallback.SERIF)


@pytest.mark.parametrize(
    "weights", ["[]", "[400]", "[700, 400]", "[0, 400]", "[400, 1001]", "[1, 'x']"]
)
def test_weights_are_the_least_and_the_most(weights: str) -> None:
    line = f'font = {{ file = "{uri(WOFF2, "font/woff2")}", weights = {weights} }}'
    [problem] = problems(line)
    assert problem.endswith(
        "weights are no range; write the least and the most: weights = [400, 700]"
    )


@pytest.mark.parametrize("font", [uri(b"\0\1\0\0", "font/woff2"), uri(PNG), "file:font.ttf"])
def test_a_font_is_woff2(font: str) -> None:
    [problem] = problems(f'font.file = "{font}"')
    assert (
        problem == 'line 9: file is no WOFF2 font; write file = "file:font.woff2", or a data: URI'
    )


def test_a_font_has_at_most_96_kib() -> None:
    [problem] = problems(f'font.file = "{uri(WOFF2.ljust(96 * 1024 + 1), "font/woff2")}"')
    assert "file has 98305 bytes, more than 98304; leave out letters" in problem


def test_files_are_put_into_the_text_line_by_line() -> None:
    files = {"a/logo.svg": SVG.encode(), "i.PNG": PNG, "f.woff2": WOFF2}
    text = with_brand(
        '# favicon = "file:not-read.svg"',
        "logo = 'file:a/logo.svg'",
        'illustration="file:i.PNG"',
        'font = { file = "file:f.woff2", weights = [400, 700] }',
    )
    whole = inline_files(text, files.__getitem__)
    assert whole.count("\n") == text.count("\n")
    assert '# favicon = "file:not-read.svg"\n' in whole
    brand = parse_catalogue(whole).brands["acme"]
    assert brand.logo
    assert brand.logo.light == BrandFile("image/svg+xml", SVG.encode())
    assert brand.illustration == BrandFile("image/png", PNG)
    assert brand.font
    assert brand.font.file == BrandFile("font/woff2", WOFF2)
    assert inline_files(whole, files.__getitem__) == whole


def test_every_file_that_can_not_be_used_is_named_with_its_line() -> None:
    def missing(_path: str) -> bytes:
        raise FileNotFoundError(2, "No such file or directory")

    with pytest.raises(CatalogueError) as caught:
        inline_files(with_brand('logo = "file:logo.svg"', 'favicon = "file:favicon.gif"'), missing)
    unreadable, unusable = caught.value.problems
    assert unreadable == (
        "line 9: file:logo.svg can't be read: No such file or directory; "
        "write its path from the folder of the catalogue"
    )
    assert unusable == (
        "line 10: file:favicon.gif has no type that we serve; "
        "name a file that ends in .svg, .png, .woff2"
    )


def test_a_change_of_a_file_is_listed_without_its_content() -> None:
    old, new = parse_catalogue(SMALL), parse_catalogue(with_brand(f'favicon = "{uri(PNG)}"'))
    text = "\n".join(diff_catalogues(old, new).format_lines())
    assert "favicon: none -> image/png of 12 bytes, sha256 " in text
