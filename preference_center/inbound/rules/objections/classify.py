"""`classify_sentence` classifies a sentence about advertising, by the table of its language.

A request of the table counts unless it is negated, asked about, reported, conditional, or about
somebody or something else. Before that, `split_sentences` and its helpers split text into
sentences, and find the salutation and the signature.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from preference_center.inbound.rules.objections import ObjectionLanguage
from preference_center.inbound.rules.objections.language import MAX_SENTENCE_LENGTH, tokenize

_END = re.compile(r"(?<![\s.!?])[.!?]+(?=\s|\Z)|[!?]+|\n+|(?<=[a-z]{2})\.(?=[a-z]{3})")


_ABBREVIATION = re.compile(
    r"\b(?:art|abs|nr|no|n|par|sec|lit|ust|cf|p|c|st|str|tel|mr|mrs|ms|dr|sr|sra|mme)\Z"
)


_WRAP_WIDTH = 60
"""Characters of a line that a program may have wrapped."""


_PARAGRAPH = re.compile(r"\n\s*\n")


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
    """The sentences of paragraphs. A line may end one; with `join` it never does."""
    for number, paragraph in enumerate(paragraphs):
        joined = re.sub(r"[ \t]*\n[ \t]*", " " if join else "\n", paragraph)
        yield from _split_paragraph(joined, in_first_paragraph=number == 0)


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


MAX_SHORT_WORDS = 3
"""Words up to which a text may be a name or a signature rather than a request."""


_MAX_EXTRA_WORDS = 9
"""Words of a sentence, other than an objection, up to which they are no further request."""


_MAX_FAREWELL_WORDS = 8
"""Words of the line before a signature."""


_NEGATION_WINDOW = 5
"""Words before a request in which a negation applies to it."""


_STOP_WORDS = frozenset(
    {"stop", "stopp", "it", "this", "that", "now", "all", "enough", "basta", "genug", "schluss"}
    | {"aufhoren", "assez", "alto", "parem", "parar", "chega", "sair", "dosc", "dosyc", "koniec"}
)
"""Words that end anything: alone they are about the mail only if nothing else is written."""


class SentenceClass(StrEnum):
    """The class of a sentence about advertising."""

    OBJECTION = "objection"
    NEGATED = "denied"
    """An objection reversed: "don't unsubscribe me"."""
    DOUBTFUL = "doubtful"
    """An objection asked about, reported, or of somebody else."""
    NONE = "nothing"


def is_only_stop_word(language: ObjectionLanguage, sentence: Sentence) -> bool:
    """Whether a sentence is only a word that may refer to anything else in progress."""
    words = language.courtesy_pattern.sub(" ", normalize_words(language, sentence.words)).replace(
        ",", " "
    )
    return {*words.split()} <= _STOP_WORDS


def classify_sentence(language: ObjectionLanguage, sentence: Sentence) -> SentenceClass:
    """The class of a sentence; bare words count in the first paragraph only."""
    may_be_bare = sentence.in_first_paragraph and not sentence.is_question
    if may_be_bare and is_bare(language, normalize_words(language, sentence.words)):
        return SentenceClass.OBJECTION
    return classify_clauses(language, sentence)


def normalize_words(language: ObjectionLanguage, words: str) -> str:
    """Words in the spelling of a language's table."""
    corrected = language.spelling_corrector.correct(
        language.normalize_spelling(words[:MAX_SENTENCE_LENGTH])
    )
    return " ".join(language.inserted_courtesy_pattern.sub(" ", corrected).split())


def classify_clauses(language: ObjectionLanguage, sentence: Sentence) -> SentenceClass:
    """The class of a sentence: an objection if one of its clauses clearly is one."""
    words = normalize_words(language, sentence.words)
    outcome = SentenceClass.NONE
    for request in language.objection_pattern.finditer(words):
        clause = _clause_around(language, words, request)
        if _is_interrupted(language, words[: request.start()]):
            return SentenceClass.NEGATED
        before = " ".join(clause.before.split()[-_NEGATION_WINDOW:])
        if language.negation_pattern.search(before) or language.trailing_negation_pattern.match(
            clause.after
        ):
            return SentenceClass.NEGATED
        if _is_doubtful(language, sentence, words, request, clause):
            outcome = SentenceClass.DOUBTFUL if outcome is SentenceClass.NONE else outcome
        else:
            outcome = SentenceClass.OBJECTION
    return outcome


def _is_interrupted(language: ObjectionLanguage, before: str) -> bool:
    """Whether a negation ends a clause early: "please do not, ever, unsubscribe me"."""
    clauses = [clause.split() for clause in before.split(" ,")[:-1]]
    return any(
        1 < len(words) <= MAX_SHORT_WORDS and _ends_negated(language, words) for words in clauses
    )


def _ends_negated(language: ObjectionLanguage, words: Sequence[str]) -> bool:
    return any(
        language.negation_pattern.fullmatch(" ".join(words[-size:])) is not None for size in (1, 2)
    )


@dataclass(frozen=True, slots=True)
class _Clause:
    """The words of a clause on both sides of a request."""

    before: str
    after: str


def _clause_around(language: ObjectionLanguage, words: str, request: re.Match[str]) -> _Clause:
    before = language.clause_end_pattern.split(words[: request.start()])[-1]
    after = language.clause_end_pattern.split(words[request.end() :])[0]
    return _Clause(before.strip(), after.strip())


def _is_doubtful(
    language: ObjectionLanguage,
    sentence: Sentence,
    words: str,
    request: re.Match[str],
    clause: _Clause,
) -> bool:
    """Whether a request is asked about, reported, under a condition or about others."""
    before = words[: request.start()]
    if sentence.is_question and (
        language.question_pattern.search(before)
        or not language.polite_question_pattern.search(before)
    ):
        asked = language.polite_question_pattern.search(words[: request.end()])
        if asked is None or language.question_pattern.search(before):
            return True
    return (
        language.question_pattern.match(clause.before) is not None
        or language.reported_speech_pattern.search(words) is not None
        or _is_conditional(language, words, request)
        or language.third_party_pattern.search(clause.before) is not None
        or language.third_party_pattern.search(clause.after) is not None
        or language.third_party_pattern.search(request[0]) is not None
    )


def _is_conditional(language: ObjectionLanguage, words: str, request: re.Match[str]) -> bool:
    """Whether a request, or another clause, begins with a condition.

    What follows an "and" does not matter: "and tell me when".
    """
    masked = language.courtesy_pattern.sub(lambda found: "-" * len(found[0]), words)
    clause = _clause_around(language, masked, request)
    return any(
        language.condition_pattern.match(part.strip("- ")) for part in masked.split(",")
    ) or any(language.condition_pattern.search(part) for part in (clause.before, clause.after))


def is_bare(language: ObjectionLanguage, words: str) -> bool:
    """Whether words are a bare objection, with a greeting, courtesies or a name at most."""
    if language.reported_speech_pattern.search(words):
        return False
    return any(
        _clauses_are_bare(language, language.courtesy_pattern.sub(pause, words))
        for pause in (" ", " , ")
    )


def _clauses_are_bare(language: ObjectionLanguage, words: str) -> bool:
    objects = False
    for clause in words.split(","):
        whole = " ".join(clause.split())
        text = " ".join(language.greeting_pattern.sub(" ", whole).split())
        if language.standalone_pattern.fullmatch(text) or language.standalone_pattern.fullmatch(
            whole
        ):
            objects = True
        elif not _is_harmless(language, text) or (
            language.negation_pattern.search(text) and not language.remark_pattern.search(text)
        ):
            return False
    return objects


def _is_harmless(language: ObjectionLanguage, words: str) -> bool:
    """Whether words ask for nothing: few, a greeting, or a usual remark."""
    if language.further_request_pattern.search(words):
        return False
    clauses = [
        [word for word in clause.split() if not word.isdigit()] for clause in words.split(",")
    ]
    return (
        all(len(clause) <= MAX_SHORT_WORDS for clause in clauses)
        or language.greeting_pattern.match(words) is not None
        or language.remark_pattern.search(words) is not None
    )


def count_other_words(language: ObjectionLanguage, words: str) -> int:
    """The number of words in a sentence that are neither its requests nor courtesies."""
    rest = language.courtesy_pattern.sub(" ", language.objection_pattern.sub(" ", words)).replace(
        ",", " "
    )
    return len(language.greeting_pattern.sub(" ", rest).split())


def has_further_request(language: ObjectionLanguage, sentences: Sequence[Sentence]) -> bool:
    """Whether the sentences contain something else that a person must read.

    Below the closing line only a question counts: a signature contains anything.
    """
    objected = signed = False
    for sentence in sentences:
        words = normalize_words(language, sentence.words)
        is_objection = classify_sentence(language, sentence) is SentenceClass.OBJECTION
        if _is_further_request(language, sentence, words, is_objection=is_objection) and (
            sentence.is_question or not signed
        ):
            return True
        objected = objected or is_objection
        is_farewell = (
            language.farewell_pattern.match(words) and len(words.split()) <= _MAX_FAREWELL_WORDS
        )
        signed = signed or bool(objected and is_farewell)
    return False


def _is_further_request(
    language: ObjectionLanguage, sentence: Sentence, words: str, *, is_objection: bool
) -> bool:
    if language.further_request_pattern.search(words):
        return True
    if is_objection:
        return count_other_words(
            language, words
        ) > _MAX_EXTRA_WORDS and not language.remark_pattern.search(words)
    polite = language.courtesy_pattern.sub(" ", words).strip()
    is_farewell = (
        language.farewell_pattern.match(words) and len(words.split()) <= _MAX_FAREWELL_WORDS
    )
    return sentence.is_question or not (is_farewell or _is_harmless(language, polite))


def wants_mail(language: ObjectionLanguage, text: str) -> bool:
    """Whether some of the mail is wanted, or wanted again."""
    words = language.normalize_spelling(tokenize(re.sub(r"[.!?\n]+", ",", text)))
    return any(
        not language.negation_pattern.search(_words_before(language, words, found))
        for found in language.keep_mail_pattern.finditer(words)
    )


def _words_before(language: ObjectionLanguage, words: str, match: re.Match[str]) -> str:
    """The last words of the clause before the match."""
    clause = language.clause_end_pattern.split(words[max(match.start() - 120, 0) : match.start()])[
        -1
    ]
    return " ".join(clause.split()[-_NEGATION_WINDOW:])
