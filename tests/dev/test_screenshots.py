"""What `make screenshots` left behind is whole, and small enough to be kept."""

from __future__ import annotations

from dev.screenshots import FOLDER, PICTURES, markdown
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
