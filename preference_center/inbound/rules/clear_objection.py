"""`find_clear_objection` finds replies that object to advertising, in legal or everyday language.

The grammar of `objections` defines an objection in each language. This module decides when one
counts: not if it is negated, asked about, reported, conditional, about somebody else, or withdrawn
elsewhere in the mail. Such a mail is queued for review; so is one with a further request, after the
objection was recorded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from preference_center.inbound.rules.auto_replies import (
    has_automatic_phrase,
)
from preference_center.inbound.rules.objections import LANGUAGES
from preference_center.inbound.rules.objections.classify import (
    MAX_SHORT_WORDS,
    SentenceClass,
    SentenceReader,
    likely_readers,
    readers_of_text,
)
from preference_center.inbound.rules.objections.language import (
    MAX_SENTENCE_LENGTH,
    mask_addresses,
    normalize_text,
    remove_quotations,
    tokenize,
)
from preference_center.inbound.rules.objections.sentences import (
    Sentence,
    join_wrapped_lines,
    split_paragraphs,
    split_sentences,
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
    if len(own_text) > MAX_REPLY_LENGTH or any(map(has_automatic_phrase, (subject, own_text))):
        return None
    written = _plain(own_text, sender)
    text = _plain(join_wrapped_lines(own_text), sender)
    readers = [SentenceReader(language) for language in LANGUAGES]
    if any(reader.wants_mail(text) for reader in readers_of_text(readers, text)):
        return None
    found = _objection_in_body(readers, split_paragraphs(text), split_paragraphs(written))
    if found is not None:
        return found
    if _REPLY_PREFIX.match(subject) or "?" in subject or _has_negation(readers, text):
        return None
    heading = Sentence(tokenize(_plain(subject, sender)), False, True)
    likely = likely_readers(readers, heading)
    if any(reader.classify(heading) is SentenceClass.NEGATED for reader in likely):
        return None
    for reader in likely:
        if len(heading.words) <= MAX_SENTENCE_LENGTH and _is_only_objection(reader, heading):
            more = _has_further_text(readers, split_paragraphs(text))
            return ClearObjection(ObjectionLocation.SUBJECT, reader.language.code, more)
    return None


def _plain(text: str, sender: str) -> str:
    return mask_addresses(remove_quotations(normalize_text(text)), sender.casefold())


def _is_only_objection(reader: SentenceReader, sentence: Sentence) -> bool:
    return (
        not reader.wants_mail(sentence.words)
        and reader.classify(sentence) is SentenceClass.OBJECTION
        and not reader.has_further_request([sentence])
    )


def _objection_in_body(
    readers: Sequence[SentenceReader], paragraphs: Sequence[str], as_written: Sequence[str]
) -> ClearObjection | None:
    """The objection in the paragraphs of a plain text: in one sentence, or in all joined."""
    for join in (False, True):
        sentences = list(split_sentences(paragraphs, join=join))
        classes = [
            (reader, one, reader.classify(one))
            for one in sentences
            for reader in likely_readers(readers, one)
        ]
        if any(found is SentenceClass.NEGATED for _, _, found in classes):
            return None
        for reader in readers:
            objections = [
                one
                for each, one, found in classes
                if each is reader and found is SentenceClass.OBJECTION
            ]
            clear = _clear_objection(reader, sentences, objections)
            if clear:
                return clear
    return _objection_in_line(readers, list(split_sentences(as_written, join=False)))


def _objection_in_line(
    readers: Sequence[SentenceReader], lines: Sequence[Sentence]
) -> ClearObjection | None:
    """A bare objection in the first line below a greeting, whatever follows in the next line."""
    for line in lines[:MAX_SHORT_WORDS]:
        for reader in likely_readers(readers, line):
            if not line.is_question and reader.is_bare(line):
                return _clear_objection(reader, lines, [line])
        if len(line.words.split()) > MAX_SHORT_WORDS:
            return None
    return None


def _clear_objection(
    reader: SentenceReader, sentences: Sequence[Sentence], objections: Sequence[Sentence]
) -> ClearObjection | None:
    """An objection, unless it is only "stop" and the rest may state what to stop."""
    if not objections:
        return None
    more = reader.has_further_request(sentences)
    if more and all(map(reader.is_only_stop_word, objections)):
        return None
    return ClearObjection(ObjectionLocation.BODY, reader.language.code, more)


def _has_further_text(readers: Sequence[SentenceReader], parts: Sequence[str]) -> bool:
    """Whether a text without an objection contains more than names and courtesies."""
    sentences = list(split_sentences(parts, join=False))
    return bool(sentences) and all(reader.has_further_request(sentences) for reader in readers)


def _has_negation(readers: Sequence[SentenceReader], text: str) -> bool:
    words = tokenize(re.sub(r"[.!?\n]+", ",", text))
    return any(each.language.negation.search(words) for each in readers)
