"""What a test shows in Chromium and in Firefox, the two families of browsers that run here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    Start = Callable[[str], Browser]
    """Starts a browser by its name, or returns the one that runs."""

IN_BOTH = pytest.mark.parametrize("browser", ["chromium", "firefox"], indirect=True)
IN_FIREFOX = pytest.mark.parametrize("browser", ["firefox"], indirect=True)
