"""docs/architecture.md shows the subjects that tests/test_imports.py checks, and all packages."""

from __future__ import annotations

import re

from dev.maintenance.layout import SUBJECTS, packages
from tests.docs.reading import ROOT

PAGE = ROOT / "docs" / "architecture.md"


def test_the_drawing_has_every_subject_in_its_order() -> None:
    drawing = PAGE.read_text(encoding="utf-8").split("```mermaid")[1].split("```")[0]
    labels = re.findall(r'(\w+)\["([^"]+)"\]', drawing)
    assert [label for _, label in labels if label in SUBJECTS] == list(SUBJECTS)


def test_every_package_is_listed_with_the_first_sentence_of_its_docstring() -> None:
    rows = "\n".join(f"| `{path}` | {text} |" for path, text in packages().items())
    assert rows in PAGE.read_text(encoding="utf-8"), rows
