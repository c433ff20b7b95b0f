"""docs/destinations.md has the text of the connectors."""

from __future__ import annotations

from preference_center.integrations.docs_page import render_docs_page
from preference_center.integrations.registry import load_integrations
from tests.docs.reading import ROOT


def test_the_page_is_what_the_registry_makes_of_it() -> None:
    written = (ROOT / "docs/destinations.md").read_text()
    assert written == render_docs_page(load_integrations().values()), (
        "python -m preference_center.integrations.docs_page > docs/destinations.md"
    )
