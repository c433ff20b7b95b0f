"""`split_sentences` splits a plain text into sentences; its helpers find lines and paragraphs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from preference_center.inbound.rules.objections.language import tokenize

_END = re.compile(
    r"(?<![\s.!?])[.!?]+(?=\s|\Z)|[!?]+|\n+|(?<=[a-z]{2})\.(?=[a-z]{3})"
    "|[\u2600-\u27bf\U0001f300-\U0001faff]+"  # emoji
)


_ABBREVIATION = re.compile(
    r"\b(?:art|abs|nr|no|n|par|sec|lit|ust|cf|p|c|st|str|tel|mr|mrs|ms|dr|sr|sra|mme|gem|vgl|bzw|inkl|lt|v|ex|exas?)\Z"
)


_WRAP_WIDTH = 60
"""Characters of a line that a program may have wrapped."""


_PARAGRAPH = re.compile(r"\n\s*\n")


_SALUTATION = re.compile(r"[^\n.?]{1,60},|[^\s.?]+(?:[ \t]+[^\s.?]+){0,2}")
"""A paragraph that greets: a line with a comma at its end, or of at most three words."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence as words, and whether it is a question."""

    words: str
    is_question: bool
    in_first_paragraph: bool


def join_wrapped_lines(text: str) -> str:
    """A text with lines joined that were only wrapped.

    That is so where the next line continues in lower case, or a long line ends without a stop.
    """
    lines = text.split("\n")
    joined = [lines[0].strip()]
    for line in map(str.strip, lines[1:]):
        last = joined[-1]
        goes_on = line[:1].islower() or (len(last) >= _WRAP_WIDTH and line[:1].isalpha())
        if last and goes_on and last[-1] not in ".!?:":
            joined[-1] = f"{last} {line}"
        else:
            joined.append(line)
    return "\n".join(joined)


def split_paragraphs(text: str) -> list[str]:
    """The paragraphs of a plain text that are not empty."""
    return [part.strip() for part in _PARAGRAPH.split(text) if part.strip()]


def split_sentences(paragraphs: Sequence[str], *, join: bool) -> Iterator[Sentence]:
    """The sentences of paragraphs. A line may end one; with `join` it never does.

    The first paragraph is the one below a salutation.
    """
    first = 1 if paragraphs and _SALUTATION.fullmatch(paragraphs[0]) else 0
    for number, paragraph in enumerate(paragraphs):
        joined = re.sub(r"[ \t]*\n[ \t]*", " " if join else "\n", paragraph)
        yield from _split_paragraph(joined, in_first_paragraph=number <= first)


def _split_paragraph(text: str, *, in_first_paragraph: bool) -> Iterator[Sentence]:
    begin = 0
    for end in _END.finditer(text):
        if end[0] == "." and _is_abbreviation_or_number(text, end):
            continue
        yield from _sentence(text[begin : end.start()], end[0], first=in_first_paragraph)
        begin = end.end()
    yield from _sentence(text[begin:], "", first=in_first_paragraph)


def _is_abbreviation_or_number(text: str, end: re.Match[str]) -> bool:
    """Whether a full stop ends a number or an abbreviation: "Art. 21", "21. 11."."""
    before = text[max(end.start() - 8, 0) : end.start()]
    after = text[end.end() : end.end() + 2].strip()
    return _ABBREVIATION.search(before) is not None or (
        before[-1:].isdigit() and after[:1].isalnum()
    )


def _sentence(text: str, end: str, *, first: bool) -> Iterator[Sentence]:
    words = tokenize(text)
    if words:
        yield Sentence(words, "?" in end, first)
