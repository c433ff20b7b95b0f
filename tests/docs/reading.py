"""The documentation as tests read it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_FENCED = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")


def pages() -> list[Path]:
    return sorted(
        [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("clients/*/README.md")]
    )


@cache
def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return _FENCED.sub("", page.read_text())


def code(page: Path) -> Iterator[str]:
    """Every line of a page that is code, continued lines as one, and every span of code."""
    for block in _FENCED.findall(page.read_text()):
        yield from re.sub(r"\\\n\s*", " ", block).splitlines()
    yield from _SPAN.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings, and those that the page names."""
    text = prose(page)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return made | {*re.findall(r'<a id="([\w-]+)">', text)}


def rows(page: Path, header: str) -> dict[str, list[str]]:
    """The table under the line `header`: the first cell, less its backquotes, to the others."""
    _, found, rest = page.read_text().partition(f"\n{header}\n")
    assert found, f"{page.name} has no table {header}"
    lines = rest.partition("\n\n")[0].splitlines()[1:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first.replace("`", ""): others for first, *others in cells}
