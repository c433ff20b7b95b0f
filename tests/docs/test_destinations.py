"""docs/destinations.md says what the connectors say."""

from __future__ import annotations

from tests.docs.reading import ROOT
from workers.connectors.page import page
from workers.connectors.registry import ENTRIES


def test_the_page_is_what_the_registry_makes_of_it() -> None:
    written = (ROOT / "docs/destinations.md").read_text()
    assert written == page(ENTRIES.values()), (
        "python -m workers.connectors.page > docs/destinations.md"
    )
