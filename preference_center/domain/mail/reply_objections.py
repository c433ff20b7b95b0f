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

from preference_center.domain.mail.objections import LANGUAGES, ObjectionLanguage
from preference_center.domain.mail.objections.classify import (
    MAX_SHORT_WORDS,
    SentenceClass,
    classify_clauses,
    classify_sentence,
    count_other_words,
    has_further_request,
    is_bare,
    is_only_stop_word,
    normalize_words,
    wants_mail,
)
from preference_center.domain.mail.objections.language import MAX_SENTENCE_LENGTH
from preference_center.domain.mail.objections.sentences import (
    Sentence,
    join_wrapped_lines,
    split_paragraphs,
    split_sentences,
)
from preference_center.domain.mail.objections.text import (
    mask_addresses,
    normalize_text,
    remove_quotations,
    tokenize,
)

MAX_REPLY_LENGTH = 3000
"""Characters of own words. The longest objections are written by lawyers."""

_REPLY_PREFIX = re.compile(
    r"^\s*(?:re|aw|sv|antw|antwort|r|rif|ref|fw|fwd|wg|i|tr|rv|res|enc|odp|pd|vs|doorst)"
    r"\s*(?:\[\d+\])?\s*:",
    re.IGNORECASE,
)


class ObjectionLocation(StrEnum):
    """Where the words stood."""

    SUBJECT = "subject"
    BODY = "body"


@dataclass(frozen=True, slots=True)
class ClearObjection:
    """A clear objection: where it stood, in which language (BCP 47), and if more was said."""

    location: ObjectionLocation
    language: str
    has_further_request: bool = False


def find_clear_objection(subject: str, own_text: str, sender: str = "") -> ClearObjection | None:
    """The clear objection of a reply, if it is one; `own` are the writer's own words.

    `sender` is the address that it is from: who names it means themselves. A subject that a
    reply has taken over from the mail it answers is not the writer's.
    """
    if len(own_text) > MAX_REPLY_LENGTH:
        return None
    written = mask_addresses(remove_quotations(normalize_text(own_text)), sender.casefold())
    text = mask_addresses(
        remove_quotations(normalize_text(join_wrapped_lines(own_text))), sender.casefold()
    )
    heading = tokenize(normalize_text(subject))
    if any(wants_mail(language, text) for language in LANGUAGES):
        return None
    found = _objection_in_body(split_paragraphs(text), split_paragraphs(written))
    if found is not None:
        return found
    if _REPLY_PREFIX.match(subject) or "?" in subject or _has_negation(text):
        return None
    in_subject = objection_language(heading)
    if in_subject is None:
        return None
    return ClearObjection(
        ObjectionLocation.SUBJECT,
        in_subject,
        has_further_request=_has_further_text(split_paragraphs(text)),
    )


def objection_language(sentence: str) -> str | None:
    """The language in which a plain sentence objects and says nothing else, if it does."""
    words = tokenize(sentence)
    if not words or len(words) > MAX_SENTENCE_LENGTH:
        return None
    for language in LANGUAGES:
        read = normalize_words(language, words)
        if wants_mail(language, words):
            continue
        if is_bare(language, read) or (
            classify_clauses(language, Sentence(read, False, True)) is SentenceClass.OBJECTION
            and count_other_words(language, read) <= MAX_SHORT_WORDS
        ):
            return language.code
    return None


def _objection_in_body(
    paragraphs: Sequence[str], as_written: Sequence[str]
) -> ClearObjection | None:
    """What the paragraphs of a plain text object to, each sentence alone or all in one."""
    for join in (False, True):
        said = list(split_sentences(paragraphs, join=join))
        founds = {each.code: [classify_sentence(each, one) for one in said] for each in LANGUAGES}
        if any(SentenceClass.NEGATED in found for found in founds.values()):
            return None
        for language in LANGUAGES:
            found = founds[language.code]
            objections = [
                one
                for one, each in zip(said, found, strict=True)
                if each is SentenceClass.OBJECTION
            ]
            clear = _clear_objection(language, said, objections)
            if clear:
                return clear
    return _objection_in_line(list(split_sentences(as_written, join=False)))


def _objection_in_line(lines: Sequence[Sentence]) -> ClearObjection | None:
    """A bare objection in the first line below a greeting, whatever the next line goes on with."""
    for line in lines[:MAX_SHORT_WORDS]:
        for language in LANGUAGES:
            if not line.is_question and is_bare(language, normalize_words(language, line.words)):
                return _clear_objection(language, lines, [line])
        if len(line.words.split()) > MAX_SHORT_WORDS:
            return None
    return None


def _clear_objection(
    language: ObjectionLanguage, sentences: Sequence[Sentence], objections: Sequence[Sentence]
) -> ClearObjection | None:
    """An objection, unless all that it says is "stop", and the rest may be about what."""
    if not objections:
        return None
    more = has_further_request(language, sentences)
    if more and all(is_only_stop_word(language, one) for one in objections):
        return None
    return ClearObjection(ObjectionLocation.BODY, language.code, more)


def _has_further_text(parts: Sequence[str]) -> bool:
    """Whether a text without an objection holds more than names and courtesies."""
    said = list(split_sentences(parts, join=False))
    return bool(said) and all(has_further_request(language, said) for language in LANGUAGES)


def _has_negation(text: str) -> bool:
    words = tokenize(re.sub(r"[.!?\n]+", ",", text))
    return any(each.negation_pattern.search(words) for each in LANGUAGES)
