"""What a page may not do on any screen: be wider than it, or have targets too small to press."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

TARGETS = (
    "button, summary, label.switch, .pills label, .choice, input:not([type]), select, textarea,"
    " .links a, .cards a, footer a, .panel.error a"
)
"""All that is pressed, but for links in a sentence (WCAG 2.5.5 excepts them)."""
LEAST = 44
"""CSS pixels: WCAG 2.2, 2.5.5."""


def overflow(page: Page) -> list[str]:
    """What is wider than the screen (WCAG 1.4.10)."""
    found: list[str] = page.evaluate(
        "[...document.querySelectorAll('body *:not(.hidden, .hidden *)')].filter(e => {"
        " const box = e.getBoundingClientRect();"
        " return e.checkVisibility() && box.width &&"
        " (box.right > innerWidth + 1 || box.left < -1) })"
        ".map(e => e.outerHTML.slice(0, 90))"
    )
    return found


def small_targets(page: Page) -> list[str]:
    """What is pressed and lower than a finger."""
    found: list[str] = page.locator(f":is({TARGETS}, .languages a):visible").evaluate_all(
        "(all, least) => all.filter(e => e.getBoundingClientRect().height < least)"
        ".map(e => e.outerHTML.slice(0, 90))",
        LEAST,
    )
    return found
