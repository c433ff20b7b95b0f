"""What a picture of a page is, and on which screens it is taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dev.demo.states import Demo

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, ViewportSize


@dataclass(frozen=True, slots=True)
class Screen:
    """How a page is looked at."""

    name: str
    size: ViewportSize
    scheme: Literal["light", "dark"]


PHONE: ViewportSize = {"width": 360, "height": 640}
DESKTOP: ViewportSize = {"width": 800, "height": 600}

SCREENS = (
    Screen("phone-light", PHONE, "light"),
    Screen("phone-dark", PHONE, "dark"),
    Screen("desktop-light", DESKTOP, "light"),
    Screen("desktop-dark", DESKTOP, "dark"),
)
TWO = (SCREENS[0], SCREENS[3])
"""Enough to see the looks of another brand."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A page: its file, its title and what it is for, and how to get there from its link."""

    key: str
    title: str
    about: str
    open: Callable[[Page, Demo], None]
    screens: Sequence[Screen] = SCREENS
    brand: str = "cascina"
    language: str = "en"
    script: bool = False
    """Whether the page needs one: ours work without."""


def press(page: Page, button: Locator) -> None:
    """Click it, and wait for the page that answers."""
    with page.expect_navigation():
        button.click()
