"""Every page that has a picture, as any reader may see it: two brands, five languages, light
and dark, from 320 pixels to a desktop, zoomed, in large letters, in colours of the reader's
own, and from right to left.

A page is opened once per brand and language, and then looked at in all these ways.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from dev.demo.states import Demo
from dev.maintenance.pictures import PHONE, Picture
from dev.maintenance.screenshots import NOW, PICTURES
from dev.maintenance.screenshots_of_rights import RIGHTS_PICTURES
from preference_center.web.languages import LANGUAGES
from tests.browser.axe import violations
from tests.browser.layout import overflow, small_targets

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize


# What is drawn by a script is a banner on somebody's page: tests/browser/test_consent_*.py.
CHOICES = [
    each
    for each in PICTURES
    if each not in RIGHTS_PICTURES and each.brand == "cascina" and not each.script
]
MATRIX = [
    pytest.param(language, brand, CHOICES, id=f"{language}-{brand}")
    for language in LANGUAGES
    for brand in ("cascina", "bottega")
] + [
    # Pages of a right are about the company: none has the looks of a brand.
    pytest.param(language, "cascina", RIGHTS_PICTURES, id=f"{language}-rights")
    for language in LANGUAGES
]
WIDTHS = (320, 480, 768, 1280)
ZOOMED: ViewportSize = {"width": 320, "height": 256}
"""A screen of 1280 by 1024 at 400%: WCAG 1.4.10."""
LARGEST = 30 * 1024
"""Bytes of a page and its style sheets, fonts and pictures aside."""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on a phone."""
    context = browser.new_context(viewport=PHONE, color_scheme="light", locale="en-GB")
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("language, brand, pictures", MATRIX)
def test_every_page_is_readable_and_fits_however_it_is_looked_at(
    page: Page, demo: Demo, language: str, brand: str, pictures: list[Picture]
) -> None:  # C8
    demo.language, demo.brand = language, brand
    found: dict[str, list[str]] = {}
    for number, picture in enumerate(pictures):
        demo.rewind(NOW + timedelta(days=number))
        page.emulate_media(color_scheme="light", forced_colors="none")
        page.set_viewport_size(PHONE)
        picture.open(page, demo)
        assert page.locator("html").get_attribute("lang") == language, picture.key
        found[picture.key] = list(_faults(page))
    assert {key: faults for key, faults in found.items() if faults} == {}


def _faults(page: Page) -> Iterator[str]:
    """What is wrong with the page in any of the ways in which it may be looked at."""
    size = _size(page)
    if size > LARGEST:
        yield f"{size} bytes"
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    yield from (f"light: {each}" for each in violations(page))
    page.emulate_media(color_scheme="dark")
    yield from (f"dark: {each}" for each in violations(page))
    page.emulate_media(forced_colors="active")
    yield from (f"forced colours: {each}" for each in overflow(page) + small_targets(page))
    page.emulate_media(color_scheme="light", forced_colors="none")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 740})
        yield from (f"{width} pixels: {each}" for each in overflow(page) + small_targets(page))
    page.set_viewport_size(ZOOMED)
    yield from (f"zoomed: {each}" for each in overflow(page))
    _set(page, "style.fontSize", "200%")  # WCAG 1.4.4
    yield from (f"large letters: {each}" for each in overflow(page))
    _set(page, "style.fontSize", "")
    _set(page, "dir", "rtl")
    yield from (f"from right to left: {each}" for each in overflow(page))


def _set(page: Page, what: str, value: str) -> None:
    page.evaluate(f"value => {{ document.documentElement.{what} = value }}", value)


def _size(page: Page) -> int:
    """Bytes of the page and its style sheets, before compression."""
    sheets = page.locator("link[rel=stylesheet]").evaluate_all("all => all.map(e => e.href)")
    bodies = [page.request.get(sheet).body() for sheet in sheets]
    return len(page.content().encode()) + sum(map(len, bodies))


@pytest.mark.parametrize(
    "change, fault",
    [
        ("document.querySelector('h1').style.width = '2000px'", "320 pixels: <h1"),
        ("document.querySelector('button').style = 'min-height: 0; padding: 0'", "pixels: <button"),
        ("document.querySelector('h1').style.color = '#aaa'", "light: color-contrast"),
        ("document.body.append('x'.repeat(30000))", "bytes"),
    ],
)
def test_a_fault_of_each_kind_would_be_found(
    page: Page, demo: Demo, change: str, fault: str
) -> None:
    demo.language, demo.brand = "en", "cascina"
    demo.rewind(NOW)
    PICTURES[0].open(page, demo)
    page.evaluate(change)
    assert fault in "\n".join(_faults(page))
