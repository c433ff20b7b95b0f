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


def test_each_open_point_is_on_the_page() -> None:
    integrations = load_integrations().values()
    lines = render_docs_page(integrations).splitlines()
    points = [point for each in integrations for point in each.load_spec().open_points]
    assert [point for point in points if lines.count(f"- {point}") != 1] == []
    assert points


def test_a_setting_that_many_tools_share_is_described_once() -> None:
    page = render_docs_page(load_integrations().values())
    assert page.count("- `link_field`, optional:") == 1
    assert page.count("`link_field`") == 1 + sum(
        each.load_spec().capabilities.can_hold_link for each in load_integrations().values()
    )
