"""The drawing of docs/architecture.md shows the layers that tests/test_imports.py checks."""

from __future__ import annotations

import re

from tests.docs.reading import ROOT
from tests.test_imports import LAYERS


def test_the_drawing_has_every_layer_in_its_order() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawing = page.split("```mermaid")[1].split("```")[0]
    labels = dict(re.findall(r'(\w+)\["([^"]+)"\]', drawing))
    order = [frozenset(label.split(" · ")) for name, label in labels.items() if name != "workers"]
    assert order == list(LAYERS)


def test_every_module_that_is_named_exists() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(
        re.findall(r"\b((?:api|domain|ingest|ledger|pages|spool|storage|sync)\.[a-z_.]+\w)", page)
    )
    functions = {"ledger.record", "domain.decisions.decide"}
    for name in named - functions:
        path = ROOT / "preference_center" / name.replace(".", "/")
        assert path.with_suffix(".py").exists() or path.is_dir(), name
