"""Code and docs are written in the field's words; CONTRIBUTING.md has the glossary."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dev.maintenance.house import shared_class_names
from dev.maintenance.layout import PRODUCT
from dev.maintenance.words import BANNED, GLOSSARY, banned_in, banned_words

ROOT = Path(__file__).resolve().parents[1]
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
CODE = [path for part in PRODUCT for path in sorted((ROOT / part).rglob("*.py"))]
# The change log is a record of its time.
DOCS = [
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs/decisions").glob("*.md")),
    ROOT / "README.md",
    ROOT / "SECURITY.md",
]


@pytest.mark.parametrize("paths", [CODE, DOCS], ids=["code", "docs"])
def test_no_word_of_our_own_is_used(paths: list[Path]) -> None:
    assert not [hit for path in paths for hit in banned_in(path.relative_to(ROOT))]


def test_no_class_name_stands_for_more_than_three() -> None:
    assert not shared_class_names(CODE)


def test_the_glossary_for_people_has_every_word() -> None:
    _, table = CONTRIBUTING.read_text(encoding="utf-8").split("| say | not |\n|---|---|\n")
    rows = table.split("\n\n", 1)[0].splitlines()
    avoided = {word.strip() for row in rows for word in row.split("|")[2].split(",")}
    assert not [word for word in avoided if not BANNED.fullmatch(word)]
    assert not [
        pattern for pattern in GLOSSARY if not any(re.fullmatch(pattern, w) for w in avoided)
    ]


@pytest.mark.parametrize(
    "text, words",
    [
        ("class NewsKind:", ["news"]),
        ("the opt-out was told to the tool", ["told"]),
        ("octets_done = 0", ["octets"]),
        ('scope = "news"', []),
        ("something, nothing, newsletter, notes", []),
        ("https://example.com/news/2026", []),
        ('gettext("We were told that the person has died"), told', ["told"]),
    ],
)
def test_what_counts_as_a_banned_word(text: str, words: list[str]) -> None:
    assert [word for _, word in banned_words(text)] == words
