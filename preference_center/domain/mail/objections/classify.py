"""What a sentence says of advertising, by the table of its language.

A request of the table counts unless it is negated, asked about, reported, under a condition, or
about somebody or something else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from preference_center.domain.mail.objections import Language
from preference_center.domain.mail.objections.language import SENTENCE
from preference_center.domain.mail.objections.sentences import Sentence
from preference_center.domain.mail.objections.text import words_of

SHORT = 3
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


class Found(StrEnum):
    """What a sentence says of advertising."""

    OBJECTION = "objection"
    DENIED = "denied"
    """An objection reversed: "don't unsubscribe me"."""
    DOUBTFUL = "doubtful"
    """An objection asked about, reported, or of somebody else."""
    NOTHING = "nothing"


def only_halts(language: Language, sentence: Sentence) -> bool:
    """Whether a sentence is a word that may be about anything else that was being done."""
    words = language.courtesy.sub(" ", in_table_words(language, sentence.words)).replace(",", " ")
    return {*words.split()} <= _HALTS


def evaluate(language: Language, sentence: Sentence) -> Found:
    """What a sentence says; bare words count in the first paragraph only."""
    may_be_bare = sentence.in_first_paragraph and not sentence.asks
    if may_be_bare and is_bare(language, in_table_words(language, sentence.words)):
        return Found.OBJECTION
    return find(language, sentence)


def in_table_words(language: Language, words: str) -> str:
    """Words as the table of a language is written."""
    corrected = language.spelling.corrected(language.folded(words[:SENTENCE]))
    return " ".join(language.aside.sub(" ", corrected).split())


def find(language: Language, sentence: Sentence) -> Found:
    """What a sentence says; an objection if one of its clauses is one beyond doubt."""
    words = in_table_words(language, sentence.words)
    outcome = Found.NOTHING
    for request in language.request.finditer(words):
        clause = _clause_around(language, words, request)
        if _is_interrupted(language, words[: request.start()]):
            return Found.DENIED
        before = " ".join(clause.before.split()[-_WINDOW:])
        if language.negated.search(before) or language.negated_after.match(clause.after):
            return Found.DENIED
        if _is_doubtful(language, sentence, words, request, clause):
            outcome = Found.DOUBTFUL if outcome is Found.NOTHING else outcome
        else:
            outcome = Found.OBJECTION
    return outcome


def _is_interrupted(language: Language, before: str) -> bool:
    """Whether a negation ends a clause early: "please do not, ever, unsubscribe me"."""
    clauses = [clause.split() for clause in before.split(" ,")[:-1]]
    return any(1 < len(words) <= SHORT and _ends_negated(language, words) for words in clauses)


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
    return (
        language.question.match(clause.before) is not None
        or language.report.search(words) is not None
        or _is_conditional(language, words, request)
        or language.other.search(clause.before) is not None
        or language.other.search(clause.after) is not None
        or language.other.search(request[0]) is not None
    )


def _is_conditional(language: Language, words: str, request: re.Match[str]) -> bool:
    """Whether a request, or any clause beside its own, begins with a condition.

    What another sentence after an "and" is about does not matter: "and tell me when".
    """
    masked = language.courtesy.sub(lambda found: "-" * len(found[0]), words)
    clause = _clause_around(language, masked, request)
    return any(language.condition.match(part.strip("- ")) for part in masked.split(",")) or any(
        language.condition.search(part) for part in (clause.before, clause.after)
    )


def is_bare(language: Language, words: str) -> bool:
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
        elif not _is_harmless(language, said) or (
            language.negated.search(said) and not language.remark.search(said)
        ):
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
        all(len(clause) <= SHORT for clause in clauses)
        or language.greeting.match(words) is not None
        or language.remark.search(words) is not None
    )


def words_besides(language: Language, words: str) -> int:
    """How many words a sentence has besides its requests and courtesies."""
    rest = language.courtesy.sub(" ", language.request.sub(" ", words)).replace(",", " ")
    return len(language.greeting.sub(" ", rest).split())


def asks_more(language: Language, said: Sequence[Sentence]) -> bool:
    """Whether something else is said that a person has to read.

    Below the line that ends the text only a question is: a signature holds anything.
    """
    objected = signed = False
    for sentence in said:
        words = in_table_words(language, sentence.words)
        is_objection = evaluate(language, sentence) is Found.OBJECTION
        if _is_more(language, sentence, words, is_objection=is_objection) and (
            sentence.asks or not signed
        ):
            return True
        objected = objected or is_objection
        is_farewell = language.farewell.match(words) and len(words.split()) <= _FAREWELL
        signed = signed or bool(objected and is_farewell)
    return False


def _is_more(language: Language, sentence: Sentence, words: str, *, is_objection: bool) -> bool:
    if language.further.search(words):
        return True
    if is_objection:
        return words_besides(language, words) > _LITTLE and not language.remark.search(words)
    polite = language.courtesy.sub(" ", words).strip()
    is_farewell = language.farewell.match(words) and len(words.split()) <= _FAREWELL
    return sentence.asks or not (is_farewell or _is_harmless(language, polite))


def wants_mail(language: Language, text: str) -> bool:
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
