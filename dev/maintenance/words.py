"""The words that code and docs of this project avoid, and what they say instead.

CONTRIBUTING.md shows the glossary to people; tests/test_words.py holds both to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

GLOSSARY: Mapping[str, str] = {
    r"octets?": "bytes",
    r"mend(?:s|ed|ing)?": "fix",
    r"doors?": "mailbox, entry point",
    r"rooms?": "package, blueprint",
    r"news": "vendor event",
    r"noes|nos|yeses": "opt-out, opt-in, suppression",
    r"(?:un)?told": "pushed, delivered, reported",
    r"knock(?:s|ed|ing)?": "probe",
    r"judg(?:e|es|ed|ing|ement|ements)": "classify, evaluate",
    r"weigh(?:s|ed|ing)?": "classify, evaluate",
    r"wish(?:es|ed)?": "retry_after, request",
    r"stubborn": "one-way",
    r"hurdles?": "blocker",
    r"tall(?:y|ies)": "stats, counts",
    r"things?": "target, item",
    r"standing": "permanent (link), active (suppression)",
    r"heard": "received, reported",
    r"verdicts?": "action, result",
    r"straighten(?:s|ed|ing)?": "normalize",
    r"beside": "next to, in_transaction",
    r"whereabouts": "status",
    r"whoever": "anyone who",
    r"anew": "again",
}
"""A word of our own, as a pattern -> the field's standard term."""

BANNED = re.compile(rf"(?<![a-z])(?:{'|'.join(GLOSSARY)})(?![a-z])")
_TOPIC = r"""(["'`])[^"'`\n]*?\bnews\b[^"'`\n]*?\1|\[[\w.]*\bnews\b[\w.]*\]|\bacme\.news\b"""
_FOREIGN = r"https?://\S+|\]\([^)]*\)|octet_length|application/octet-stream|content_stat\.news_item"
_QUOTED = re.compile(f"{_TOPIC}|{_FOREIGN}", re.IGNORECASE)
_TRANSLATED = re.compile(
    r"""\b(?:n?gettext|lazy_gettext|_)\(\s*((?:(["'])(?:(?!\2).)*\2\s*)+)""", re.DOTALL
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def banned_words(text: str) -> Iterator[tuple[int, str]]:
    """Line number and word of each banned word in a text, identifiers included.

    "news" in quotes, backticks or brackets is a topic's name; a URL, and the names that SQL, MIME
    and vendors have, are not ours to choose. What is translated is for people, whose words are
    others.
    """
    ours = _TRANSLATED.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    for number, line in enumerate(ours.splitlines(), 1):
        plain = _CAMEL.sub(" ", _QUOTED.sub(" ", line)).replace("_", " ").lower()
        for match in BANNED.finditer(plain):
            yield number, match[0]


def banned_in(path: Path) -> list[str]:
    """`path:line: word (say: ...)` for each banned word of a file."""
    found = banned_words(path.read_text(encoding="utf-8"))
    return [f"{path}:{number}: {word} (say: {_better(word)})" for number, word in found]


def _better(word: str) -> str:
    return next(say for pattern, say in GLOSSARY.items() if re.fullmatch(pattern, word))
