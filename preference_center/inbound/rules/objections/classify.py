"""`SentenceReader` classifies a sentence about advertising, by the grammar of its language.

A request counts unless it is negated, asked about, reported, conditional, or about somebody or
something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import islice, pairwise

from preference_center.inbound.rules.objections.calls import without_calls
from preference_center.inbound.rules.objections.grammar import (
    VERBAL_REQUESTS,
    Clause,
    Request,
    find_requests,
    is_bare_clause,
)
from preference_center.inbound.rules.objections.language import (
    MAX_SENTENCE_LENGTH,
    OTHER_ADDRESS,
    ObjectionLanguage,
    tokenize,
)
from preference_center.inbound.rules.objections.sentences import Sentence

MAX_SHORT_WORDS = 3
"""Words up to which a text may be a name or a signature rather than a request."""


_MAX_UNKNOWN_WORDS = 5
"""Unknown words of a sentence that objects up to which they are no further request."""


_MAX_CITATION_WORDS = 10
"""Words between two commas that cite a law."""


_ARTICLE = re.compile(r"\bart[a-z]{0,6} [0-9]")
"""An article of a law, in any language."""


_MAX_FAREWELL_WORDS = 8
"""Words of the line before a signature."""


_MAX_PAUSES = 4
"""Places in a clause where a dictated sentence may end."""


_HOW_WINDOW = 4
"""Words before a request in which "how" asks about it."""


_NEGATION_WINDOW = 5
"""Words before "keep sending" in which a negation applies to it."""


_STOP_WORDS = frozenset(
    {"stop", "stopp", "it", "this", "that", "now", "all", "enough", "basta", "genug", "schluss"}
    | {"aufhoren", "assez", "alto", "parem", "parar", "chega", "sair", "dosc", "dosyc", "koniec"}
)
"""Words that end anything: alone they are about the mail only if nothing else is written."""


_FROM = frozenset(
    {"from", "aus", "von", "vom", "da", "dal", "dalla", "dall", "de", "du", "del", "do", "uit"}
    | {"van", "z", "ze"}
)
"""Words before that from which somebody should be removed."""


class SentenceClass(StrEnum):
    """The class of a sentence about advertising."""

    OBJECTION = "objection"
    NEGATED = "denied"
    """An objection reversed: "don't unsubscribe me"."""
    DOUBTFUL = "doubtful"
    """An objection asked about, reported, or of somebody else."""
    NONE = "nothing"


class SentenceReader:
    """Classifies sentences of one mail or text message by the table of one language."""

    def __init__(self, language: ObjectionLanguage) -> None:
        self.language = language
        self._classes: dict[Sentence, SentenceClass] = {}
        self._normalized: dict[str, str] = {}
        self._clauses_by_text: dict[str, Clause] = {}

    def normalize(self, words: str) -> str:
        """Words in the spelling of the table, without courtesies between commas."""
        if words not in self._normalized:
            expanded = self.language.normalize_spelling(words[:MAX_SENTENCE_LENGTH])
            corrected = self.language.spelling_corrector.correct(expanded)
            written = self._replace("broken", " , ", without_calls(self.language, corrected))
            polite = self.language.courtesy_between_commas.sub(" ", tokenize(written))
            parts = self._without_articles(polite.split(" , "))
            self._normalized[words] = " ".join(parts.split())
        return self._normalized[words]

    def _without_articles(self, parts: Sequence[str]) -> str:
        """Parts of a sentence joined, without a law cited between commas."""
        joined, pause = parts[0], " , "
        for at, part in enumerate(parts[1:], 2):
            is_short = len(part.split()) <= _MAX_CITATION_WORDS
            if at < len(parts) and is_short and (self._has("law", part) or _ARTICLE.search(part)):
                pause = " "
            else:
                joined, pause = joined + pause + part, " , "
        return joined

    def classify(self, sentence: Sentence) -> SentenceClass:
        """The class of a sentence; bare words count in the first paragraph only."""
        if sentence not in self._classes:
            self._classes[sentence] = self._classify(sentence)
        return self._classes[sentence]

    def _classify(self, sentence: Sentence) -> SentenceClass:
        words = self.normalize(sentence.words)
        may_be_bare = sentence.in_first_paragraph and not sentence.is_question
        if may_be_bare and self.is_bare(sentence):
            return SentenceClass.OBJECTION
        outcome = SentenceClass.NONE
        for at, clause in self._clauses(words):
            requests = list(find_requests(clause))
            if any(each.is_negated for each in requests) or (
                requests and self._is_interrupted(words[:at])
            ):
                return SentenceClass.NEGATED
            if requests and outcome is not SentenceClass.OBJECTION:
                doubtful = self._is_clause_doubtful(sentence, words, at, clause) or all(
                    self._is_asked(sentence, words[:at], clause, each) for each in requests
                )
                outcome = SentenceClass.DOUBTFUL if doubtful else SentenceClass.OBJECTION
        return outcome

    def _clauses(self, words: str) -> Iterator[tuple[int, Clause]]:
        """The clauses of a sentence, and where in it each begins."""
        begin = 0
        for end in (*self.language.clause_end.finditer(words), None):
            text = words[begin : end.start() if end else None]
            if text.strip():
                at = begin + len(text) - len(text.lstrip())
                yield from ((at, clause) for clause in self._spoken(text.strip()))
            begin = end.end() if end else 0

    def _spoken(self, text: str) -> Iterator[Clause]:
        """A clause; before one without a request also its beginning, if it was dictated.

        Dictated text has no commas: the beginning ends where a sentence of its own starts.
        """
        whole = self._clause(text)
        if next(find_requests(whole), None) is None:
            for pause in islice(self.language.spoken_pause.finditer(text, 1), _MAX_PAUSES):
                beginning = self._clause(text[: pause.start()].rstrip())
                if next(find_requests(beginning, VERBAL_REQUESTS), None):
                    yield beginning
        yield whole

    def _clause(self, text: str) -> Clause:
        return self._clauses_by_text.setdefault(text, Clause(self.language, text))

    def count_unknown(self, sentence: Sentence) -> int:
        """Words that the table does not know: the fewer, the likelier it is the language."""
        return sum(self._unknown_flags(sentence.words[:MAX_SENTENCE_LENGTH]))

    def count_known(self, words: str) -> int:
        """Words of a text that the table knows."""
        return sum(not unknown for unknown in self._unknown_flags(words))

    def _unknown_flags(self, words: str) -> Iterator[bool]:
        return (not self.language.knows(w) for w in self.language.normalize_spelling(words).split())

    def is_bare(self, sentence: Sentence) -> bool:
        """Whether it is an objection alone, with a greeting, courtesies or a name at most."""
        words = self.normalize(sentence.words)
        polite = self._sub("courtesy", words)
        if (
            self._has("reported", words)
            or _names_other_address(words)
            or self._has("ultimatum", words)
            or self._has("how", words)
            or self._starts("otherwise", words)
            or self._has("other", self._without_number(words))
            or self._begins_with_condition(polite)
        ):
            return False
        objects = False
        parts = [*filter(None, map(str.strip, words.split(",")))]
        for text, after in pairwise([*parts, ""]):
            clause = self._clause(text)
            if is_bare_clause(clause):
                if self._is_about_something(text, after):
                    return False
                objects = True
            elif not self._is_harmless(text) or (
                clause.marks("not") and not self._has("remark", text)
            ):
                return False
        return objects

    def is_only_stop_word(self, sentence: Sentence) -> bool:
        """Whether a sentence is only a word that may refer to anything else in progress."""
        words = self._sub("courtesy", self.normalize(sentence.words)).replace(",", " ").split()
        return {*words} <= _STOP_WORDS

    def is_for_client(self, sentence: Sentence) -> bool:
        """Whether a representative writes: "our client objects"."""
        found = self.language.patterns["client"].search(self.normalize(sentence.words))
        return found is not None and len(found[0].split()) > 1

    def wants_mail(self, text: str) -> bool:
        """Whether some of the mail is wanted, or wanted again."""
        words = self.language.normalize_spelling(tokenize(re.sub(r"[.!?\n]+", ",", text)))
        return any(
            not self._has("not", self._words_before(words, found))
            for found in self.language.patterns["keep"].finditer(words)
        )

    def has_further_request(self, sentences: Sequence[Sentence]) -> bool:
        """Whether the sentences contain something else that a person must read.

        Below the closing line only a question counts: a signature contains anything.
        """
        objected = signed = False
        for sentence in sentences:
            is_objection = self.classify(sentence) is SentenceClass.OBJECTION
            if self._asks_more(sentence, is_objection=is_objection) and (
                sentence.is_question or not signed
            ):
                return True
            objected = objected or is_objection
            signed = signed or (objected and self._is_farewell(self.normalize(sentence.words)))
        return False

    def _asks_more(self, sentence: Sentence, *, is_objection: bool) -> bool:
        words = self.normalize(sentence.words)
        about = self._without_number(words)
        if self._has("further", about) or self._has("call", about):
            return True
        if is_objection:
            many = len(self._clause(words).unknown) > _MAX_UNKNOWN_WORDS
            return (many and not self._has("remark", words)) or self.is_for_client(sentence)
        polite = self._sub("courtesy", words).strip()
        return sentence.is_question or not (self._is_farewell(words) or self._is_harmless(polite))

    def _is_interrupted(self, before: str) -> bool:
        """Whether a negation ends a clause early: "please do not, ever, unsubscribe me"."""
        ends = [part.split() for part in before.split(" ,")[:-1]]
        return any(
            1 < len(part) <= MAX_SHORT_WORDS
            and any(self._is("not", " ".join(part[-size:])) for size in (1, 2))
            for part in ends
        )

    def _is_asked(self, sentence: Sentence, before: str, clause: Clause, request: Request) -> bool:
        """Whether a request is only asked about: "how do I unsubscribe"."""
        until = before + " ".join(clause.words[: request.end + 1])
        if sentence.is_question and (
            self._has("question", until) or not self._has("polite", until)
        ):
            return True
        near = clause.words[max(request.start - _HOW_WINDOW, 0) : request.end + 1]
        return self._has("how", " ".join(near)) or self._starts(
            "question", " ".join(clause.words[: request.start])
        )

    def _is_clause_doubtful(self, sentence: Sentence, words: str, at: int, clause: Clause) -> bool:
        """Whether a clause is reported, under a condition, or about others."""
        about = self._without_number(clause.text)
        if clause.marks("object|withdraw") and self.is_for_client(sentence):
            about = self._sub("client", about)
        ultimatum = self.language.patterns["ultimatum"].search(words)
        masked = self.language.patterns["courtesy"].sub(lambda found: "-" * len(found[0]), words)
        return (
            self._has("reported", words)
            or _names_other_address(words)
            or (ultimatum is not None and ultimatum.start() <= at)
            or self._is_consequence(words, at)
            or self._is_about_something(clause.text, words[at + len(clause.text) :].strip(" ,"))
            or self._has("other", about)
            or self._begins_with_condition(masked)
            or self._has("condition", masked[at : at + len(clause.text)])
        )

    def _is_about_something(self, request: str, after: str) -> bool:
        """Whether the part after a comma names what a request means: "take it off, this product".

        So may what begins with "from": "take me off, from the waiting list". Who speaks of
        themselves, of mail or of an address says something else there, such as "this time".
        """
        following = after.partition(" ,")[0]
        if following.partition(" ")[0] in _FROM and self._has("other", following):
            return True
        is_own = any(self._has(kind, after) for kind in ("me", "mail", "list"))
        speaks_of_own = any(
            self._has(kind, self._sub("clitic", request)) for kind in ("me", "mail", "data")
        )
        return self._starts("named", after) and not is_own and not speaks_of_own

    def _is_consequence(self, words: str, at: int) -> bool:
        """Whether the clause at `at` is what the writer does "otherwise"."""
        end = len(words[:at].rstrip())
        return any(
            found.end() == end for found in self.language.patterns["otherwise"].finditer(words)
        )

    def _begins_with_condition(self, words: str) -> bool:
        """Whether a part between commas does; after an "and" it does not matter."""
        return any(self._starts("condition", part.strip("- ")) for part in words.split(","))

    def _is_harmless(self, words: str) -> bool:
        """Whether words ask for nothing: few, a greeting, or a usual remark."""
        if self._has("further", self._without_number(words)):
            return False
        clauses = [
            [word for word in part.split() if not word.isdigit()] for part in words.split(",")
        ]
        return (
            all(len(clause) <= MAX_SHORT_WORDS for clause in clauses)
            or self._starts("greeting", words)
            or self._has("remark", words)
        )

    def _is_farewell(self, words: str) -> bool:
        return self._starts("farewell", words) and len(words.split()) <= _MAX_FAREWELL_WORDS

    def _words_before(self, words: str, match: re.Match[str]) -> str:
        """The last words of the clause before the match."""
        clause = self.language.clause_end.split(words[max(match.start() - 120, 0) : match.start()])
        return " ".join(clause[-1].split()[-_NEGATION_WINDOW:])

    def _has(self, kind: str, words: str) -> bool:
        return self.language.patterns[kind].search(words) is not None

    def _starts(self, kind: str, words: str) -> bool:
        return self.language.patterns[kind].match(words) is not None

    def _is(self, kind: str, words: str) -> bool:
        return self.language.patterns[kind].fullmatch(words) is not None

    def _sub(self, kind: str, words: str) -> str:
        return self._replace(kind, " ", words)

    def _replace(self, kind: str, new: str, words: str) -> str:
        return self.language.patterns[kind].sub(new, words)

    def _without_number(self, words: str) -> str:
        """Words in which "my phone number" is no phone that something else may be about."""
        return self._replace("my_number", "number", words)


def _names_other_address(words: str) -> bool:
    """Whether a sentence is of somebody else, or of the address that the writer will have."""
    return OTHER_ADDRESS in words.split()


def likely_readers(
    readers: Sequence[SentenceReader], sentence: Sentence
) -> Sequence[SentenceReader]:
    """Those in whose language a sentence may be: who know nearly as much of it as the best."""
    unknown = [reader.count_unknown(sentence) for reader in readers]
    least = min(unknown)
    return [reader for reader, count in zip(readers, unknown, strict=True) if count <= least + 1]


def readers_of_text(readers: Sequence[SentenceReader], text: str) -> Sequence[SentenceReader]:
    """Those in whose language some of a text may be: who know half as many words as the best."""
    known = [reader.count_known(tokenize(text)) for reader in readers]
    most = max(known)
    return [reader for reader, count in zip(readers, known, strict=True) if 2 * count >= most]
