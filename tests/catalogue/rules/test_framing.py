"""Which sites a catalogue lets frame a brand's pages."""

from __future__ import annotations

import pytest

from preference_center.catalogue import diff_catalogues, parse_catalogue
from preference_center.core.errors import CatalogueError
from tests.catalogue.catalogues import SMALL, edited

BRAND = 'name = "Acme"'


def framed_by(value: str) -> str:
    return edited((BRAND, f"{BRAND}\nframe_origins = {value}"))


def test_without_the_key_nobody_frames_them() -> None:
    assert parse_catalogue(SMALL).brands["acme"].frame_origins == ()


def test_whole_origins_on_https_are_taken_once() -> None:
    origins = ("https://www.acme.example", "https://a.example:8443")
    text = framed_by(str([*origins, origins[0]]))
    assert parse_catalogue(text).brands["acme"].frame_origins == origins


@pytest.mark.parametrize(
    "origin",
    [
        "http://www.acme.example",
        "https://*.acme.example",
        "https://www.acme.example/",
        "https://www.acme.example/shop",
        "www.acme.example",
        "https:",
        "*",
        "https://a.example; script-src *",
        "https://a.example https://b.example",
        "https://A.example",
        "",
    ],
)
def test_what_is_no_such_origin_is_refused_with_the_remedy(origin: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        parse_catalogue(framed_by(f'["{origin}"]'))
    [problem] = caught.value.problems
    assert "is no origin" in problem
    assert "https://www.example.com" in problem


def test_a_new_version_says_what_it_lets_frame_the_pages() -> None:
    old = parse_catalogue(SMALL)
    new = parse_catalogue(framed_by('["https://www.acme.example"]'))
    lines = diff_catalogues(old, new).format_lines()
    assert "    frame_origins: none -> https://www.acme.example" in lines
