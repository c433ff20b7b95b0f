from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_chromium_shows_a_page(page: Page) -> None:
    page.set_content("<main lang=it><button>Annulla iscrizione</button></main>")
    assert page.get_by_role("button", name="Annulla iscrizione").is_visible()
