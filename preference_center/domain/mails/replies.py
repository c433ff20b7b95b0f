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

from preference_center.domain.mails.objections import LANGUAGES, Language, Spelling
from preference_center.domain.mails.objections.language import SENTENCE
from preference_center.domain.mails.objections.sentences import (
    Sentence,
    paragraphs,
    sentences,
    unwrapped,
)
from preference_center.domain.mails.objections.words import (
    plain,
    unquoted,
    with_addresses_named,
    words_of,
)

LONGEST = 3000
"""Characters of own words. The longest objections are letters written by lawyers."""

_REPLY_PREFIX = re.compile(
    r"^\s*(?:re|aw|sv|antw|antwort|r|rif|ref|fw|fwd|wg|i|tr|rv|res|enc|odp|pd|vs|doorst)"
    r"\s*(?:\[\d+\])?\s*:",
    re.IGNORECASE,
)
_SHORT = 3
"""Words that are a name, or part of a signature, rather than a request."""
_LITTLE = 9
"""Words beside a request in its sentence that are no request of their own."""
_FAREWELL = 8
"""Words of the line before a signature."""
_WINDOW = 5
"""Words before a request among which a negation is of it."""
_HALTS = frozenset(
    {"stop", "stopp", "it", "this", "that", "now", "all", "enough", "basta", "genug", "schluss"}
    | {"aufhoren", "assez", "alto", "parem", "parar", "chega", "sair", "dosc", "dosyc", "koniec"}
)
"""Words that end anything: alone they are about the mail only if nothing else is said."""
_PATTERNS = tuple(each.patterns for each in LANGUAGES)
_SPELLING = {each.code: Spelling(each.words) for each in LANGUAGES}


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


class _Found(StrEnum):
    """What a sentence says of advertising."""

    OBJECTION = "objection"
    DENIED = "denied"
    """An objection turned round: "don't unsubscribe me"."""
    DOUBTFUL = "doubtful"
    """An objection asked about, reported, or of somebody else."""
    NOTHING = "nothing"


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
    if any(_wants_mail(language, text) for language in LANGUAGES):
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
        read = _read(language, words)
        if _wants_mail(language, words):
            continue
        if _is_bare(language, read) or (
            _found(language, Sentence(read, False, True)) is _Found.OBJECTION
            and _rest(language, read) <= _SHORT
        ):
            return language.code
    return None


def _in_body(parts: Sequence[str], as_written: Sequence[str]) -> Clear | None:
    """What the paragraphs of a plain text object to, each sentence alone or all in one."""
    for join in (False, True):
        said = list(sentences(parts, join=join))
        founds = {each.code: [_found_or_bare(each, one) for one in said] for each in LANGUAGES}
        if any(_Found.DENIED in found for found in founds.values()):
            return None
        for language in LANGUAGES:
            found = founds[language.code]
            objections = [
                one for one, each in zip(said, found, strict=True) if each is _Found.OBJECTION
            ]
            if objections:
                return _clear(language, said, objections)
    return _in_a_line(list(sentences(as_written, join=False)))


def _in_a_line(lines: Sequence[Sentence]) -> Clear | None:
    """A bare objection in the first line below a greeting, whatever the next line goes on with."""
    for line in lines[:_SHORT]:
        for language in LANGUAGES:
            if not line.asks and _is_bare(language, _read(language, line.words)):
                return _clear(language, lines, [line])
        if len(line.words.split()) > _SHORT:
            return None
    return None


def _clear(
    language: Language, said: Sequence[Sentence], objections: Sequence[Sentence]
) -> Clear | None:
    """An objection, unless all that it says is "stop", and the rest may be about what."""
    more = _asks_more(language, said)
    if more and all(_halts(language, one) for one in objections):
        return None
    return Clear(Place.BODY, language.code, more)


def _halts(language: Language, sentence: Sentence) -> bool:
    """Whether a sentence is a word that may be about anything else that was being done."""
    words = language.courtesy.sub(" ", _read(language, sentence.words)).replace(",", " ")
    return {*words.split()} <= _HALTS


def _found_or_bare(language: Language, sentence: Sentence) -> _Found:
    may_be_bare = sentence.in_first_paragraph and not sentence.asks
    if may_be_bare and _is_bare(language, _read(language, sentence.words)):
        return _Found.OBJECTION
    return _found(language, sentence)


def _read(language: Language, words: str) -> str:
    """Words as the table of a language is written."""
    corrected = _SPELLING[language.code].corrected(language.folded(words[:SENTENCE]))
    return " ".join(language.aside.sub(" ", corrected).split())


def _found(language: Language, sentence: Sentence) -> _Found:
    """What a sentence says; an objection if one of its clauses is one beyond doubt."""
    words = _read(language, sentence.words)
    outcome = _Found.NOTHING
    for request in language.request.finditer(words):
        clause = _clause_around(language, words, request)
        if _is_interrupted(language, words[: request.start()]):
            return _Found.DENIED
        before = " ".join(clause.before.split()[-_WINDOW:])
        if language.negated.search(before) or language.negated_after.match(clause.after):
            return _Found.DENIED
        if _is_doubtful(language, sentence, words, request, clause):
            outcome = _Found.DOUBTFUL if outcome is _Found.NOTHING else outcome
        else:
            outcome = _Found.OBJECTION
    return outcome


def _is_interrupted(language: Language, before: str) -> bool:
    """Whether a negation ends a clause early: "please do not, ever, unsubscribe me"."""
    clauses = [clause.split() for clause in before.split(" ,")[:-1]]
    return any(1 < len(words) <= _SHORT and _ends_negated(language, words) for words in clauses)


def _ends_negated(language: Language, words: Sequence[str]) -> bool:
    return any(language.negated.fullmatch(" ".join(words[-size:])) is not None for size in (1, 2))


@dataclass(frozen=True, slots=True)
class _Clause:
    """The words of a clause on both sides of a request."""

    before: str
    after: str


def _clause_around(language: Language, words: str, request: re.Match[str]) -> _Clause:
    before = language.boundary.split(words[: request.start()])[-1]
    after = language.boundary.split(words[request.end() :])[0]
    return _Clause(before.strip(), after.strip())


def _is_doubtful(
    language: Language, sentence: Sentence, words: str, request: re.Match[str], clause: _Clause
) -> bool:
    """Whether a request is asked about, reported, under a condition or about others."""
    before = words[: request.start()]
    if sentence.asks and (language.question.search(before) or not language.asked.search(before)):
        asked = language.asked.search(words[: request.end()])
        if asked is None or language.question.search(before):
            return True
    without_courtesies = language.courtesy.sub(" ", words)
    return (
        language.question.match(clause.before) is not None
        or language.report.search(words) is not None
        or language.condition.search(without_courtesies) is not None
        or language.other.search(clause.before) is not None
        or language.other.search(clause.after) is not None
        or language.other.search(request[0]) is not None
    )


def _is_bare(language: Language, words: str) -> bool:
    """Whether words are a bare objection, with a greeting, courtesies or a name at most."""
    if language.report.search(words):
        return False
    return any(
        _clauses_are_bare(language, language.courtesy.sub(pause, words)) for pause in (" ", " , ")
    )


def _clauses_are_bare(language: Language, words: str) -> bool:
    objects = False
    for clause in words.split(","):
        whole = " ".join(clause.split())
        said = " ".join(language.greeting.sub(" ", whole).split())
        if language.bare.fullmatch(said) or language.bare.fullmatch(whole):
            objects = True
        elif language.negated.search(said) or not _is_harmless(language, said):
            return False
    return objects


def _is_harmless(language: Language, words: str) -> bool:
    """Whether words ask for nothing: few, a greeting, or a usual remark."""
    if language.further.search(words):
        return False
    clauses = [
        [word for word in clause.split() if not word.isdigit()] for clause in words.split(",")
    ]
    return (
        all(len(clause) <= _SHORT for clause in clauses)
        or language.greeting.match(words) is not None
        or language.remark.search(words) is not None
    )


def _rest(language: Language, words: str) -> int:
    """How many words a sentence has besides its requests and courtesies."""
    rest = language.courtesy.sub(" ", language.request.sub(" ", words)).replace(",", " ")
    return len(language.greeting.sub(" ", rest).split())


def _asks_more(language: Language, said: Sequence[Sentence]) -> bool:
    """Whether something else is said that a person has to read."""
    for sentence in said:
        words = _read(language, sentence.words)
        if language.further.search(words):
            return True
        if _found_or_bare(language, sentence) is _Found.OBJECTION:
            if _rest(language, words) > _LITTLE and not language.remark.search(words):
                return True
            continue
        if language.farewell.match(words) and len(words.split()) <= _FAREWELL:
            break
        if sentence.asks or not _is_harmless(language, language.courtesy.sub(" ", words).strip()):
            return True
    return False


def _says_more(parts: Sequence[str]) -> bool:
    """Whether a text without an objection holds more than names and courtesies."""
    said = list(sentences(parts, join=False))
    return bool(said) and all(_asks_more(language, said) for language in LANGUAGES)


def _wants_mail(language: Language, text: str) -> bool:
    """Whether some of the mail is wanted, or wanted again."""
    words = language.folded(words_of(re.sub(r"[.!?\n]+", ",", text)))
    return any(
        not language.negated.search(_shortly_before(language, words, found))
        for found in language.keep.finditer(words)
    )


def _shortly_before(language: Language, words: str, found: re.Match[str]) -> str:
    """The last words of the clause before what was found."""
    clause = language.boundary.split(words[max(found.start() - 120, 0) : found.start()])[-1]
    return " ".join(clause.split()[-_WINDOW:])


def _negates(text: str) -> bool:
    words = words_of(re.sub(r"[.!?\n]+", ",", text))
    return any(each.negated.search(words) for each in LANGUAGES)
