"""The drawing of docs/architecture.md shows the subjects that tests/test_imports.py checks."""

from __future__ import annotations

import re

from dev.maintenance.layout import SUBJECTS
from tests.docs.reading import ROOT


def test_the_drawing_has_every_subject_in_its_order() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawing = page.split("```mermaid")[1].split("```")[0]
    labels = re.findall(r'(\w+)\["([^"]+)"\]', drawing)
    assert [label for _, label in labels if label in SUBJECTS] == list(SUBJECTS)
