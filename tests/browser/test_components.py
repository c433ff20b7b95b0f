"""The components of all pages, on one page: readable, reachable and inside of every screen."""

# ruff: noqa: F401, F811 - fixtures of the package are imported by name

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from jinja2 import ChoiceLoader, FileSystemLoader

from tests.browser.axe import violations
from tests.browser.layout import TARGETS, overflow, small_targets
from tests.clock import Clock
from tests.web.pages.demo import put_in_force
from tests.web.pages.fixtures import app

if TYPE_CHECKING:
    from flask import Flask
    from playwright.sync_api import Browser, Page


Open: TypeAlias = Callable[..., "Page"]


@pytest.fixture
def show(browser: Browser, site: str, app: Flask, clock: Clock) -> Iterator[Open]:
    """Opens the page of components as a brand of the demo, on a screen of `context`."""
    put_in_force(app, clock)
    contexts = []

    def show(brand: str = "cascina", path: str = "", head: str = "", **context: Any) -> Page:
        contexts.append(
            browser.new_context(**{"viewport": {"width": 360, "height": 740}} | context)
        )
        page = contexts[-1].new_page()
        html = components(app, brand).replace("</head>", f"{head}</head>")
        page.route(
            "**/components", lambda route: route.fulfill(body=html, content_type="text/html")
        )
        page.goto(f"{site}/components{path}")
        return page

    yield show
    for context in contexts:
        context.close()


def components(app: Flask, key: str) -> str:
    """The page as a brand shows it; with no key as pages of several brands look."""
    from preference_center.web.languages import LANGUAGES
    from preference_center.web.pages.rendering import CatalogueText, catalogue_or_empty

    loaders = [app.jinja_env.loader, FileSystemLoader(Path(__file__).parent)]
    environment = app.jinja_env.overlay(loader=ChoiceLoader([each for each in loaders if each]))
    with app.test_request_context("/components?lang=en"):
        catalogue = catalogue_or_empty()
        brand = catalogue.brands.get(key)
        values: dict[str, Any] = {
            "language": "en",
            "languages": LANGUAGES,
            "lead_brand": brand,
            "brands": (brand,) if brand else tuple(catalogue.brands.values()),
            "text": CatalogueText(catalogue),
        }
        app.update_template_context(values)
        return environment.get_template("components.html").render(values)


@pytest.mark.parametrize("brand", ["cascina", "bottega", ""])
def test_no_component_has_a_violation_in_light_or_dark(show: Open, brand: str) -> None:  # C8
    for scheme in ("light", "dark"):
        page = show(brand, color_scheme=scheme)
        page.locator(".languages summary").click()
        assert violations(page) == [], scheme


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_states_are_seen_in_colours_of_the_readers_own(show: Open, scheme: str) -> None:
    page = show(color_scheme=scheme, forced_colors="active")
    # axe reads the page's colours, not those that the browser puts in their place.
    assert [each for each in violations(page) if not each.startswith("color-contrast")] == []
    for shape, pressed in (
        (".switch input", ".switch"),
        (".pills label", ".pills label"),
        (".choice input", ".choice"),
    ):
        control = page.locator(shape).nth(1)
        before = control.screenshot()
        page.locator(pressed).nth(1).click()
        page.locator("h1").click()  # so that neither picture shows the focus
        assert control.screenshot() != before, shape


def test_every_target_is_as_large_as_a_finger(show: Open) -> None:  # WCAG 2.5.5
    page = show()
    page.locator(".languages summary").click()
    assert page.locator(f":is({TARGETS}, .languages a):visible").count() > 30
    assert small_targets(page) == []


@pytest.mark.parametrize("brand", ["cascina", "bottega", ""])
def test_everything_fits_the_narrowest_screen(show: Open, brand: str) -> None:
    page = show(brand, viewport={"width": 320, "height": 256})  # 1280 by 1024 at 400%: 1.4.10
    assert overflow(page) == []
    page.locator(".languages summary").click()
    assert overflow(page) == []
    large = "<style>html { font-size: 200% }</style>"  # 1.4.4
    assert overflow(show(brand, head=large, viewport={"width": 320, "height": 640})) == []
    assert overflow(show(brand, viewport={"width": 1280, "height": 900})) == []


def test_more_space_between_letters_and_lines_hides_nothing(show: Open) -> None:  # WCAG 1.4.12
    spaced = (
        "<style>* { line-height: 1.5 !important; letter-spacing: .12em !important;"
        " word-spacing: .16em !important } p { margin-bottom: 2em !important }</style>"
    )
    page = show(head=spaced, viewport={"width": 320, "height": 640})
    assert overflow(page) == []
    assert (
        page.locator("button, .pills input + span").evaluate_all(
            "all => all.filter(e => e.scrollHeight > e.clientHeight + 1).length"
        )
        == 0
    )


def test_the_whole_row_presses_its_switch_and_a_word_says_so(show: Open) -> None:
    page = show()
    row = page.locator(".row").nth(1)
    box = row.locator("input")
    assert not box.is_checked()
    assert row.locator(".state .off").is_visible()
    row.locator(".hint").click()
    assert box.is_checked()
    assert row.locator(".state .on").is_visible()
    assert not row.locator(".state .off").is_visible()
    box.press("Space")
    assert not box.is_checked()


def test_a_switch_is_a_checkbox_with_a_name_and_a_description(show: Open) -> None:  # 4.1.2
    page = show()
    found = page.get_by_role("checkbox", name="The farm journal", exact=True, checked=True)
    assert found.get_attribute("aria-describedby") == "topics-news-hint"
    assert found.count() == 1
    group = page.get_by_role("group", name="Pause")
    assert group.get_by_role("radio", name="30 days", exact=True, checked=True).count() == 1


def test_the_name_of_a_choice_does_not_look_like_a_button(show: Open) -> None:
    legend = show().locator(".pills legend span")
    assert legend.evaluate("e => getComputedStyle(e).borderStyle") == "none"
    assert legend.evaluate("e => getComputedStyle(e).display") == "inline"


def test_the_bar_with_save_covers_nothing_that_has_the_focus(show: Open) -> None:  # 2.4.11
    page = show(viewport={"width": 360, "height": 480})
    page.locator("#address").focus()
    assert page.locator(".save-bar").evaluate("e => getComputedStyle(e).position") == "sticky"
    while page.evaluate("document.activeElement.textContent") != "Save":
        assert page.evaluate(
            "(() => { const focused = document.activeElement.getBoundingClientRect();"
            " const bar = document.querySelector('.save-bar').getBoundingClientRect();"
            " return focused.top < bar.top || focused.bottom > bar.bottom })()"
        ), page.evaluate("document.activeElement.outerHTML")
        page.keyboard.press("Tab")
    low = show(viewport={"width": 320, "height": 256})
    assert low.locator(".save-bar").evaluate("e => getComputedStyle(e).position") == "static"


@pytest.mark.parametrize("panel", ["result", "problem"])
def test_a_fragment_moves_the_focus_without_a_script(show: Open, panel: str) -> None:
    from playwright.sync_api import expect

    page = show(path=f"#{panel}", java_script_enabled=False)
    expect(page.locator(f"#{panel}")).to_be_focused()


def test_a_problem_leads_to_its_field(show: Open) -> None:
    from playwright.sync_api import expect

    page = show()
    page.get_by_role("alert").get_by_role("link").click()
    expect(page.locator("#address")).to_be_focused()


def test_sides_follow_the_direction_of_the_language(show: Open, app: Flask) -> None:
    def left(page: Page, selector: str) -> float:
        box = page.locator(selector).first.bounding_box()
        assert box is not None, selector
        return box["x"]

    def sides(page: Page) -> list[bool]:
        """Whether the second stands to the right of the first."""
        return [
            left(page, first) < left(page, second)
            for first, second in (
                (".switch b", ".switch input"),
                (".timeline .icon", ".timeline h3"),
                (".panel.success .icon", ".panel.success h2"),
                (".brands img", ".languages"),
            )
        ]

    page = show()
    assert sides(page) == [True] * 4
    page.evaluate("document.documentElement.dir = 'rtl'")
    assert sides(page) == [False] * 4
    page.set_viewport_size({"width": 320, "height": 640})
    assert overflow(page) == []
    assert violations(page) == []


def test_paper_has_the_words_and_nothing_to_press(show: Open) -> None:
    page = show("bottega", color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("button:visible, .languages:visible").count() == 0
    for words in ("h1", ".links a"):
        colour = page.locator(f"main {words}").evaluate("e => getComputedStyle(e).color")
        assert colour == "rgb(0, 0, 0)", words
    assert (
        page.locator(".sheet").evaluate("e => getComputedStyle(e).backgroundColor")
        == "rgb(255, 255, 255)"
    )


def test_one_button_is_filled(show: Open) -> None:
    fills = (
        show()
        .locator("main button:visible")
        .evaluate_all(
            "all => all.filter(e => getComputedStyle(e).backgroundColor !== 'rgba(0, 0, 0, 0)')"
            ".map(e => e.textContent)"
        )
    )
    assert fills == ["Save"]


def test_the_font_of_a_brand_is_used_and_comes_from_us(show: Open, site: str) -> None:
    page = show("bottega")
    assert page.evaluate("document.fonts.ready.then(() => document.fonts.check('16px Brand'))")
    loaded = page.evaluate("performance.getEntriesByType('resource').map(e => e.name)")
    assert any("/brand/bottega/font.woff2?v=" in url for url in loaded)
    assert all(url.startswith(site) for url in loaded)
