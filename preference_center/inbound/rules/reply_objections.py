"""Replies that object to advertising, in legal or everyday language.

The tables of `objections` define an objection in each language. This module decides when one
counts: not if it is negated, asked about, reported, conditional, about somebody else, or
withdrawn elsewhere in the mail. Such a mail is queued for review; so is one with a further
request, after the objection was recorded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from preference_center.inbound.rules.objections import LANGUAGES, ObjectionLanguage
from preference_center.inbound.rules.objections.classify import (
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
from preference_center.inbound.rules.objections.language import MAX_SENTENCE_LENGTH
from preference_center.inbound.rules.objections.sentences import (
    Sentence,
    join_wrapped_lines,
    split_paragraphs,
    split_sentences,
)
from preference_center.inbound.rules.objections.text import (
    mask_addresses,
    normalize_text,
    remove_quotations,
    tokenize,
)

MAX_REPLY_LENGTH = 3000
"""Characters of the person's own text. The longest objections are written by lawyers."""

_REPLY_PREFIX = re.compile(
    r"^\s*(?:re|aw|sv|antw|antwort|r|rif|ref|fw|fwd|wg|i|tr|rv|res|enc|odp|pd|vs|doorst)"
    r"\s*(?:\[\d+\])?\s*:",
    re.IGNORECASE,
)


class ObjectionLocation(StrEnum):
    """Where the objection was found."""

    SUBJECT = "subject"
    BODY = "body"


@dataclass(frozen=True, slots=True)
class ClearObjection:
    """A clear objection: its location, its language (BCP 47), and whether more was written."""

    location: ObjectionLocation
    language: str
    has_further_request: bool = False


def find_clear_objection(subject: str, own_text: str, sender: str = "") -> ClearObjection | None:
    """The clear objection in a reply, if there is one; `own_text` is the writer's own text.

    `sender` is the address in From: a mention of it means the writer. A subject that was copied
    from the mail being answered is not the writer's.
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
    """The language in which a plain sentence objects and contains nothing else, if it does."""
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
    """The objection in the paragraphs of a plain text: in one sentence, or in all joined."""
    for join in (False, True):
        sentences = list(split_sentences(paragraphs, join=join))
        classes_by_language = {
            each.code: [classify_sentence(each, one) for one in sentences] for each in LANGUAGES
        }
        if any(SentenceClass.NEGATED in found for found in classes_by_language.values()):
            return None
        for language in LANGUAGES:
            found = classes_by_language[language.code]
            objections = [
                one
                for one, each in zip(sentences, found, strict=True)
                if each is SentenceClass.OBJECTION
            ]
            clear = _clear_objection(language, sentences, objections)
            if clear:
                return clear
    return _objection_in_line(list(split_sentences(as_written, join=False)))


def _objection_in_line(lines: Sequence[Sentence]) -> ClearObjection | None:
    """A bare objection in the first line below a greeting, whatever follows in the next line."""
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
    """An objection, unless it is only "stop" and the rest may state what to stop."""
    if not objections:
        return None
    more = has_further_request(language, sentences)
    if more and all(is_only_stop_word(language, one) for one in objections):
        return None
    return ClearObjection(ObjectionLocation.BODY, language.code, more)


def _has_further_text(parts: Sequence[str]) -> bool:
    """Whether a text without an objection contains more than names and courtesies."""
    sentences = list(split_sentences(parts, join=False))
    return bool(sentences) and all(
        has_further_request(language, sentences) for language in LANGUAGES
    )


def _has_negation(text: str) -> bool:
    words = tokenize(re.sub(r"[.!?\n]+", ",", text))
    return any(each.negation_pattern.search(words) for each in LANGUAGES)
