"""A person's file, opened from the disk: it loads nothing, fits a phone, and axe finds nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from preference_center.web.languages import LANGUAGES
from tests.browser.axe import violations
from tests.in_force import put_in_force
from tests.rights.access_file.people import ADA, ask, file_of, store_everything

if TYPE_CHECKING:
    from flask import Flask
    from playwright.sync_api import Page


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_of_a_file_can_be_read_by_anybody(
    page: Page, app: Flask, tmp_path: Path, language: str
) -> None:
    with app.app_context():
        put_in_force(app)
        store_everything()
        saved = tmp_path / "index.html"
        saved.write_bytes(file_of(ask(ADA, language=language)).read("index.html"))
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(saved.as_uri())
    assert loaded == [saved.as_uri()]
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert page.locator("time").count() > 10
