"""Replies by which somebody says that they want no more mail, in so many words.

Taken for a "no" is a subject, or a sentence that the person's own words begin with, which
says that and nothing else. Whatever says more, or asks, or takes something back, is left to
a person: neither is a "no" missed, nor one made up.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from preference_center.domain.mails.phrases import GREETING, PATTERNS, POLITE, SECOND_THOUGHTS

LONGEST = 600
"""Characters of own words: who writes more has more to say."""

_PATTERNS = tuple((language, re.compile(pattern, re.VERBOSE)) for language, pattern in PATTERNS)
_LONGEST_SENTENCE = 160
_REPLY_PREFIX = re.compile(
    r"^\s*(?:re|aw|sv|antw|antwort|r|rif|ref|fw|fwd|wg|i|tr|rv|res|enc)\s*(?:\[\d+\])?\s*:",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!;:,\n]+|(?<=\s)[-\u2013\u2014]+(?=\s)")
_MARKS = re.compile(r"[^\w'?\s-]|_")
_NEGATION = re.compile(r"\b(?:not|don'?t|never|non|nicht|kein\w*|pas|no|nao|niet|geen)\b")


class Place(StrEnum):
    """Where the words stood."""

    SUBJECT = "subject"
    BODY = "body"


@dataclass(frozen=True, slots=True)
class Clear:
    """A clear "no": where it stood, and in which language (BCP 47)."""

    place: Place
    language: str


def clear_no(subject: str, own: str) -> Clear | None:
    """The clear "no" of a reply, if it is one; `own` are the writer's own words.

    A subject that a reply has taken over from the mail it answers is not the writer's.
    """
    words = plain(own)
    if len(own) > LONGEST or SECOND_THOUGHTS.search(words):
        return None
    in_body = _first_sentence(words)
    if in_body is not None:
        return Clear(Place.BODY, in_body)
    if _REPLY_PREFIX.match(subject) or _NEGATION.search(words):
        return None
    heading = plain(subject)
    in_subject = None if SECOND_THOUGHTS.search(heading) else language_of(heading)
    return Clear(Place.SUBJECT, in_subject) if in_subject else None


def language_of(sentence: str) -> str | None:
    """The language in which a sentence says "no" and nothing else; None if it doesn't."""
    text = " ".join(POLITE.sub(" ", _MARKS.sub(" ", sentence)).split())
    if not text or len(text) > _LONGEST_SENTENCE:
        return None
    return next((language for language, each in _PATTERNS if each.fullmatch(text)), None)


def plain(text: str) -> str:
    """In lower case, without accents, with plain quotes."""
    lower = text[: 2 * LONGEST].replace("\u2019", "'").replace("\u00df", "ss").casefold()
    apart = unicodedata.normalize("NFKD", lower)
    return "".join(each for each in apart if not unicodedata.combining(each))


def _first_sentence(words: str) -> str | None:
    """The language of the first thing that is said, greetings aside.

    That may be a line of its own, a paragraph that was wrapped, or a sentence in either.
    """
    paragraph = ""
    for part in re.split(r"\n\s*\n", words):
        said = _ungreeted(part)
        if said:
            paragraph = said
            break
    if not paragraph:
        return None
    line = paragraph.partition("\n")[0]
    wrapped = " ".join(paragraph.split())
    for text in (line, wrapped):
        found = language_of(text)
        if found:
            return found
    for text in (line, wrapped):
        first = next((each for each in _SENTENCE_END.split(text) if _says_something(each)), "")
        found = language_of(first)
        if found:
            return found
    return None


def _ungreeted(paragraph: str) -> str:
    """A paragraph without a greeting in its first line or before its first comma."""
    text = paragraph.strip()
    line, _, rest = text.partition("\n")
    if GREETING.fullmatch(line.strip(" ,.!-")) and language_of(line) is None:
        greeting, comma, after = line.partition(",")
        if comma and after.strip() and GREETING.fullmatch(greeting.strip()):
            return f"{after.strip()}\n{rest}".strip()
        return _ungreeted(rest) if rest else ""
    return text


def _says_something(sentence: str) -> bool:
    text = " ".join(POLITE.sub(" ", _MARKS.sub(" ", sentence)).split())
    return bool(text) and GREETING.fullmatch(text) is None
