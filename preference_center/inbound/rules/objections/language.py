"""`ObjectionLanguage` is a table of phrases: how one language objects to advertising.

A table is compiled when it is first used. Compiling all tables takes half a second, so a process
that reads no reply should not compile them.

A table is written in words as `normalize_text` returns them: lower case, no accents, no
punctuation but commas. A line holds one phrase. In it

- `|`, `(...)`, `?` and `*` mean what they mean in a regular expression,
- `{name}` is a slot of the table, itself such a phrase,
- `~` is a gap of at most three words, `~~` of at most eight, none of them a negation,
- `$` is the end of a clause, courtesies aside.

Every gap is bounded and every sentence is cut, so the time is linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

_CHARACTER_REPLACEMENTS = str.maketrans(
    {"\u0142": "l", "\u00f8": "o", "\u0111": "d", "\u00df": "ss", "\u00e6": "ae", "\u0153": "oe"}
)


_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")


_QUOTATION = re.compile(
    '"[^"\n]{1,200}"|[\u201c\u201e][^\u201c\u201d\n]{1,200}[\u201c\u201d]'
    "|\u00ab[^\u00ab\u00bb\n]{1,200}\u00bb|(?<!\\w)'[^'\n]{1,200}'(?!\\w)"
)


_ADDRESS = re.compile(r"(?<!\S)[^\s@]{1,64}@[^\s@]{1,255}")


_LINK = re.compile(r"(?:https?://|www\.)\S{1,2000}")


_PUNCTUATION = re.compile(
    r"[,;:()\[\]/|\u2026\u2022]+|(?<=\s)[-\u2013\u2014]+(?=\s)|[\u2013\u2014]"
)


_NON_WORD = re.compile(r"[^\w,]+|_+")


_COMMAS = re.compile(r"(?: ?,)+ ?")


_LEAST, _MOST = 6, 40
"""Characters of a word whose typing errors are corrected."""


def normalize_text(text: str) -> str:
    """In lower case, without accents and invisible characters, with plain quotes."""
    lower = _INVISIBLE.sub("", text).replace("\u2019", "'").casefold()
    apart = unicodedata.normalize("NFKD", lower)
    return "".join(c for c in apart if not unicodedata.combining(c)).translate(
        _CHARACTER_REPLACEMENTS
    )


def remove_quotations(text: str) -> str:
    """Plain text without quoted passages: others wrote those."""
    return _QUOTATION.sub(" x ", text)


def mask_addresses(text: str, sender: str) -> str:
    """Plain text with the word `myaddress` for the sender's, `otheraddress` for any other."""

    def name(found: re.Match[str]) -> str:
        address = found[0].strip("<>().,;:!?\"'")
        return " myaddress " if address == sender else " otheraddress "

    return _LINK.sub(" link ", _ADDRESS.sub(name, text))


def tokenize(sentence: str) -> str:
    """A plain sentence as words separated by one space; commas where one would pause."""
    paused = _PUNCTUATION.sub(" , ", sentence)
    bare = _NON_WORD.sub(" ", paused).replace(",", " , ")
    return " ".join(_COMMAS.sub(" , ", f" {bare} ").split()).strip(" ,")


class SpellingCorrector:
    """Corrects one typing error in a long word to the table's word that it must be.

    The error may be an extra, missing or wrong character, or two exchanged ones. The first
    character and the ending must match: they distinguish words, "anmelden", "unsubscribed".
    """

    def __init__(self, words: Collection[str]) -> None:
        self._words = frozenset(words)
        near: dict[str, set[str]] = defaultdict(set)
        for word in words:
            for form in (word, *_deletions(word)):
                near[form].add(word)
        self._near: Mapping[str, set[str]] = near

    def correct(self, text: str) -> str:
        """The text with its long words corrected."""
        return " ".join(self._correct_word(word) for word in text.split(" "))

    def _correct_word(self, word: str) -> str:
        if not _LEAST <= len(word) <= _MOST or word in self._words:
            return word
        meant = {
            known
            for form in (word, *_deletions(word))
            for known in self._near.get(form, ())
            if known[0] == word[0] and _same_ending(known, word)
        }
        return meant.pop() if len(meant) == 1 else word


def _same_ending(known: str, word: str) -> bool:
    """Whether the ending is the same, or a character shortly before the last was left out."""
    return known[-2:] == word[-2:] or (len(word) < len(known) and known[-1] == word[-1])


def _deletions(word: str) -> list[str]:
    return [word[:at] + word[at + 1 :] for at in range(1, len(word))]


MAX_SENTENCE_LENGTH = 400
"""Characters of a sentence that are read."""


_WORD = re.compile(r"(?<![\w\])?])[a-z]{7,}(?![\w\[(?*+])")


_MATCHES_NOTHING = r"(?!)"


@dataclass(frozen=True)
class ObjectionLanguage:
    """The table of one language. `code` is BCP 47."""

    code: str
    placeholders: Mapping[str, str]
    objection_phrases: str
    """Objections, wherever they stand in a sentence."""
    standalone_objection_phrases: str
    """Objections only if the sentence, or all of the subject, contains nothing else."""
    courtesy_phrases: str
    """Courtesies. Nothing is meant by them."""
    greeting_phrases: str
    """The first words of a salutation."""
    farewell_phrases: str
    """The first words of the line after which only a signature follows."""
    negation_phrases: str
    """Shortly before a request they reverse it."""
    gap_stop_words: str
    """Single words that no gap may hold, negations above all."""
    question_phrases: str
    """A clause that begins so wants to know something."""
    reported_speech_phrases: str
    """Anywhere in the sentence: it reports what is, what others say, or what a mail reads."""
    conjunctions: str
    """Words between clauses."""
    polite_question_phrases: str
    """The beginning of a question that is a request."""
    condition_phrases: str
    third_party_phrases: str
    """Other people, other services, other business: the request may not be about our mail."""
    keep_mail_phrases: str
    """Anywhere in the mail: the writer wants some or all of the mail, or wants it back."""
    further_request_phrases: str
    """Anywhere in the mail: something else is asked for."""
    remark_phrases: str
    """What people say besides an objection and need no answer to."""
    trailing_negation_phrases: str = ""
    """Negations that follow their verb."""
    spelling_variants: Mapping[str, str] = field(default_factory=dict)
    """Spellings that are the same: `oe` is `o` in German, as its accent is gone."""

    def normalize_spelling(self, text: str) -> str:
        """The text with its spellings made one."""
        for written, read in self.spelling_variants.items():
            text = text.replace(written, read)
        return text

    @cached_property
    def objection_pattern(self) -> re.Pattern[str]:
        """Finds a request."""
        return self._compile(self.objection_phrases)

    @cached_property
    def standalone_pattern(self) -> re.Pattern[str]:
        """Matches a clause that is an objection and nothing else."""
        return self._compile(self.standalone_objection_phrases)

    @cached_property
    def courtesy_pattern(self) -> re.Pattern[str]:
        """Finds courtesies."""
        return self._compile(self.courtesy_phrases)

    @cached_property
    def inserted_courtesy_pattern(self) -> re.Pattern[str]:
        """Finds a courtesy between commas."""
        return re.compile(rf" ,{self.courtesy_pattern.pattern.join((' ', ' '))},(?= )")

    @cached_property
    def greeting_pattern(self) -> re.Pattern[str]:
        """Matches the beginning of a salutation."""
        return self._compile(self.greeting_phrases)

    @cached_property
    def farewell_pattern(self) -> re.Pattern[str]:
        """Matches the beginning of the last line before a signature."""
        return self._compile(self.farewell_phrases)

    @cached_property
    def negation_pattern(self) -> re.Pattern[str]:
        """Finds a negation among the words before a request."""
        return self._compile(self.negation_phrases)

    @cached_property
    def trailing_negation_pattern(self) -> re.Pattern[str]:
        """Matches a negation right after a request."""
        return self._compile(self.trailing_negation_phrases)

    @cached_property
    def question_pattern(self) -> re.Pattern[str]:
        """Finds that a sentence wants to know something."""
        return self._compile(self.question_phrases)

    @cached_property
    def reported_speech_pattern(self) -> re.Pattern[str]:
        """Finds that a sentence reports something."""
        return self._compile(self.reported_speech_phrases)

    @cached_property
    def clause_end_pattern(self) -> re.Pattern[str]:
        """Finds the end of a clause."""
        return re.compile(rf"(?<![^ ])(?:,|{self.conjunctions})(?![^ ])")

    @cached_property
    def polite_question_pattern(self) -> re.Pattern[str]:
        """Finds that a question is a request."""
        return self._compile(self.polite_question_phrases)

    @cached_property
    def condition_pattern(self) -> re.Pattern[str]:
        """Finds that a sentence is about a case."""
        return self._compile(self.condition_phrases)

    @cached_property
    def third_party_pattern(self) -> re.Pattern[str]:
        """Finds somebody or something else in a clause."""
        return self._compile(self.third_party_phrases)

    @cached_property
    def keep_mail_pattern(self) -> re.Pattern[str]:
        """Finds that mail is wanted."""
        return self._compile(self.keep_mail_phrases)

    @cached_property
    def further_request_pattern(self) -> re.Pattern[str]:
        """Finds that something else is asked for."""
        return self._compile(self.further_request_phrases)

    @cached_property
    def remark_pattern(self) -> re.Pattern[str]:
        """Finds what needs no answer."""
        return self._compile(self.remark_phrases)

    @cached_property
    def patterns(self) -> tuple[re.Pattern[str], ...]:
        """All of them."""
        kind = type(self)
        names = [name for name in vars(kind) if isinstance(vars(kind)[name], cached_property)]
        return tuple(
            getattr(self, name)
            for name in names
            if name not in {"patterns", "spelling_corrector", "_clause_end_lookahead"}
        )

    @cached_property
    def spelling_corrector(self) -> SpellingCorrector:
        """Corrects typing errors to the longer words of the table."""
        sources = " ".join(pattern.pattern for pattern in self.patterns)
        return SpellingCorrector(frozenset(_WORD.findall(sources.replace("\\", " "))))

    def _compile(self, phrases: str) -> re.Pattern[str]:
        lines = [line.strip() for line in phrases.strip().splitlines() if line.strip()]
        if not lines:
            return re.compile(_MATCHES_NOTHING)
        source = "|".join(self._expand(line) for line in lines)
        return re.compile(rf"(?<![^ ,])(?:{source})(?![^ ,])")

    def _expand(self, phrase: str) -> str:
        for _ in range(4):  # slots may hold slots
            phrase = re.sub(r"\{(\w+)\}", lambda found: f"({self.placeholders[found[1]]})", phrase)
        source = re.sub(r"\((?!\?)", "(?:", self.normalize_spelling(phrase))
        word = rf" (?!(?:{self.gap_stop_words})(?![^ ,]))[^ ,]+"
        source = source.replace("~~", f"(?:{word}){{0,8}}").replace("~", f"(?:{word}){{0,3}}")
        return source.replace("$", self._clause_end_lookahead)

    @cached_property
    def _clause_end_lookahead(self) -> str:
        """What finds the end of a clause, without reading beyond it."""
        courtesies = "|".join(line.strip() for line in self.courtesy_phrases.strip().splitlines())
        phrase = re.sub(r"\((?!\?)", "(?:", self.normalize_spelling(f"( ({courtesies}))*"))
        return rf"(?={phrase}(?: ,| (?:{self.conjunctions})(?![^ ,])|\Z))"
