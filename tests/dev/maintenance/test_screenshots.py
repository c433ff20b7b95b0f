"""What `make screenshots` left behind is whole, and small enough to be kept."""

from __future__ import annotations

import re

from dev.maintenance import screenshots_of_console
from dev.maintenance.screenshots import FOLDER, PICTURES, markdown
from tests.docs.reading import ROOT

MEBIBYTE = 1 << 20


def test_the_page_shows_every_picture_that_is_taken() -> None:
    assert (ROOT / "docs/pages.md").read_text() == markdown()
    taken = {
        f"{picture.key}-{screen.name}.webp" for picture in PICTURES for screen in picture.screens
    }
    assert {path.name for path in FOLDER.iterdir()} == taken


def test_the_pictures_are_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 4 * MEBIBYTE


def test_the_console_is_shown_by_every_picture_that_is_taken() -> None:
    taken = {
        f"{picture.key}-{screen.name}.webp"
        for picture in screenshots_of_console.PICTURES
        for screen in picture.screens
    }
    folder = screenshots_of_console.FOLDER
    assert {path.name for path in folder.iterdir()} == taken
    shown = re.findall(r'src="images/console/([^"]+)"', (ROOT / "docs/console.md").read_text())
    assert sorted(shown) == sorted(taken)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2 * MEBIBYTE
