"""Replies by which somebody objects to advertising, in the law's words or in everyday ones.

The tables of `objections` say what an objection is in each language. This says when one
counts: not if it is negated, asked about, reported, under a condition, about somebody else,
or taken back elsewhere in the mail. Such a mail is left to a person; so is one that objects and
asks for more, after the objection was recorded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from preference_center.domain.mail.objections import LANGUAGES, Language
from preference_center.domain.mail.objections.classify import (
    SHORT,
    Found,
    asks_more,
    evaluate,
    find,
    in_table_words,
    is_bare,
    only_halts,
    wants_mail,
    words_besides,
)
from preference_center.domain.mail.objections.language import SENTENCE
from preference_center.domain.mail.objections.sentences import (
    Sentence,
    paragraphs,
    sentences,
    unwrapped,
)
from preference_center.domain.mail.objections.text import (
    plain,
    unquoted,
    with_addresses_named,
    words_of,
)

LONGEST = 3000
"""Characters of own words. The longest objections are written by lawyers."""

_REPLY_PREFIX = re.compile(
    r"^\s*(?:re|aw|sv|antw|antwort|r|rif|ref|fw|fwd|wg|i|tr|rv|res|enc|odp|pd|vs|doorst)"
    r"\s*(?:\[\d+\])?\s*:",
    re.IGNORECASE,
)


class Place(StrEnum):
    """Where the words stood."""

    SUBJECT = "subject"
    BODY = "body"


@dataclass(frozen=True, slots=True)
class Clear:
    """A clear objection: where it stood, in which language (BCP 47), and if more was said."""

    place: Place
    language: str
    asks_more: bool = False


def clear_no(subject: str, own: str, sender: str = "") -> Clear | None:
    """The clear objection of a reply, if it is one; `own` are the writer's own words.

    `sender` is the address that it is from: who names it means themselves. A subject that a
    reply has taken over from the mail it answers is not the writer's.
    """
    if len(own) > LONGEST:
        return None
    written = with_addresses_named(unquoted(plain(own)), sender.casefold())
    text = with_addresses_named(unquoted(plain(unwrapped(own))), sender.casefold())
    heading = words_of(plain(subject))
    if any(wants_mail(language, text) for language in LANGUAGES):
        return None
    found = _in_body(paragraphs(text), paragraphs(written))
    if found is not None:
        return found
    if _REPLY_PREFIX.match(subject) or "?" in subject or _negates(text):
        return None
    in_subject = language_of(heading)
    if in_subject is None:
        return None
    return Clear(Place.SUBJECT, in_subject, asks_more=_says_more(paragraphs(text)))


def language_of(sentence: str) -> str | None:
    """The language in which a plain sentence objects and says nothing else, if it does."""
    words = words_of(sentence)
    if not words or len(words) > SENTENCE:
        return None
    for language in LANGUAGES:
        read = in_table_words(language, words)
        if wants_mail(language, words):
            continue
        if is_bare(language, read) or (
            find(language, Sentence(read, False, True)) is Found.OBJECTION
            and words_besides(language, read) <= SHORT
        ):
            return language.code
    return None


def _in_body(parts: Sequence[str], as_written: Sequence[str]) -> Clear | None:
    """What the paragraphs of a plain text object to, each sentence alone or all in one."""
    for join in (False, True):
        said = list(sentences(parts, join=join))
        founds = {each.code: [evaluate(each, one) for one in said] for each in LANGUAGES}
        if any(Found.DENIED in found for found in founds.values()):
            return None
        for language in LANGUAGES:
            found = founds[language.code]
            objections = [
                one for one, each in zip(said, found, strict=True) if each is Found.OBJECTION
            ]
            clear = _clear(language, said, objections)
            if clear:
                return clear
    return _in_a_line(list(sentences(as_written, join=False)))


def _in_a_line(lines: Sequence[Sentence]) -> Clear | None:
    """A bare objection in the first line below a greeting, whatever the next line goes on with."""
    for line in lines[:SHORT]:
        for language in LANGUAGES:
            if not line.asks and is_bare(language, in_table_words(language, line.words)):
                return _clear(language, lines, [line])
        if len(line.words.split()) > SHORT:
            return None
    return None


def _clear(
    language: Language, said: Sequence[Sentence], objections: Sequence[Sentence]
) -> Clear | None:
    """An objection, unless all that it says is "stop", and the rest may be about what."""
    if not objections:
        return None
    more = asks_more(language, said)
    if more and all(only_halts(language, one) for one in objections):
        return None
    return Clear(Place.BODY, language.code, more)


def _says_more(parts: Sequence[str]) -> bool:
    """Whether a text without an objection holds more than names and courtesies."""
    said = list(sentences(parts, join=False))
    return bool(said) and all(asks_more(language, said) for language in LANGUAGES)


def _negates(text: str) -> bool:
    words = words_of(re.sub(r"[.!?\n]+", ",", text))
    return any(each.negated.search(words) for each in LANGUAGES)
