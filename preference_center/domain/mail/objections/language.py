"""How one language objects to advertising: a table of phrases, compiled when it is first used.

All of them take half a second, which a process that reads no reply need not spend.

A table is written in words as `normalise` leaves them: lower case, no accents, no
punctuation but commas. One phrase a line. In it

- `|`, `(...)`, `?` and `*` mean what they mean in a regular expression,
- `{name}` is a slot of the table, itself such a phrase,
- `~` is a gap of at most three words, `~~` of at most eight, none of them a negation,
- `$` is the end of a clause, courtesies aside.

Every gap is bounded and every sentence is cut, so the time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from preference_center.domain.mail.objections.text import Spelling

SENTENCE = 400
"""Characters of a sentence that are read."""

_WORD = re.compile(r"(?<![\w\])?])[a-z]{7,}(?![\w\[(?*+])")
_NEVER = r"(?!)"


@dataclass(frozen=True)
class Language:
    """The table of one language. `code` is BCP 47."""

    code: str
    slots: Mapping[str, str]
    requests: str
    """Objections, wherever they stand in a sentence."""
    alone: str
    """Objections only if the sentence, or all of the subject, says nothing else."""
    polite: str
    """Courtesies. Nothing is meant by them."""
    greetings: str
    """The first words of a salutation."""
    farewells: str
    """The first words of the line after which only a signature follows."""
    negations: str
    """Shortly before a request they reverse it."""
    within: str
    """Single words that no gap may hold, negations above all."""
    questions: str
    """A clause that begins so wants to know something."""
    reports: str
    """Anywhere in the sentence: it reports what is, what others say, or what a mail reads."""
    joins: str
    """Words between clauses."""
    asks: str
    """The beginning of a question that is a request."""
    conditions: str
    others: str
    """Other people, other services, other business: the request may not be about our mail."""
    keeps: str
    """Anywhere in the mail: the writer wants some or all of the mail, or wants it back."""
    more: str
    """Anywhere in the mail: something else is asked for."""
    remarks: str
    """What people say besides an objection and need no answer to."""
    after: str = ""
    """Negations that follow their verb."""
    fold: Mapping[str, str] = field(default_factory=dict)
    """Spellings that are the same: `oe` is `o` in German, as its accent is gone."""

    def folded(self, text: str) -> str:
        """The text with its spellings made one."""
        for written, read in self.fold.items():
            text = text.replace(written, read)
        return text

    @cached_property
    def request(self) -> re.Pattern[str]:
        """Finds a request."""
        return self._compiled(self.requests)

    @cached_property
    def bare(self) -> re.Pattern[str]:
        """Matches a clause that is an objection and nothing else."""
        return self._compiled(self.alone)

    @cached_property
    def courtesy(self) -> re.Pattern[str]:
        """Finds courtesies."""
        return self._compiled(self.polite)

    @cached_property
    def aside(self) -> re.Pattern[str]:
        """Finds a courtesy between commas."""
        return re.compile(rf" ,{self.courtesy.pattern.join((' ', ' '))},(?= )")

    @cached_property
    def greeting(self) -> re.Pattern[str]:
        """Matches the beginning of a salutation."""
        return self._compiled(self.greetings)

    @cached_property
    def farewell(self) -> re.Pattern[str]:
        """Matches the beginning of the last line before a signature."""
        return self._compiled(self.farewells)

    @cached_property
    def negated(self) -> re.Pattern[str]:
        """Finds a negation among the words before a request."""
        return self._compiled(self.negations)

    @cached_property
    def negated_after(self) -> re.Pattern[str]:
        """Matches a negation right after a request."""
        return self._compiled(self.after)

    @cached_property
    def question(self) -> re.Pattern[str]:
        """Finds that a sentence wants to know something."""
        return self._compiled(self.questions)

    @cached_property
    def report(self) -> re.Pattern[str]:
        """Finds that a sentence reports something."""
        return self._compiled(self.reports)

    @cached_property
    def boundary(self) -> re.Pattern[str]:
        """Finds the end of a clause."""
        return re.compile(rf"(?<![^ ])(?:,|{self.joins})(?![^ ])")

    @cached_property
    def asked(self) -> re.Pattern[str]:
        """Finds that a question is a request."""
        return self._compiled(self.asks)

    @cached_property
    def condition(self) -> re.Pattern[str]:
        """Finds that a sentence is about a case."""
        return self._compiled(self.conditions)

    @cached_property
    def other(self) -> re.Pattern[str]:
        """Finds somebody or something else in a clause."""
        return self._compiled(self.others)

    @cached_property
    def keep(self) -> re.Pattern[str]:
        """Finds that mail is wanted."""
        return self._compiled(self.keeps)

    @cached_property
    def further(self) -> re.Pattern[str]:
        """Finds that something else is asked for."""
        return self._compiled(self.more)

    @cached_property
    def remark(self) -> re.Pattern[str]:
        """Finds what needs no answer."""
        return self._compiled(self.remarks)

    @cached_property
    def patterns(self) -> tuple[re.Pattern[str], ...]:
        """All of them."""
        kind = type(self)
        names = [name for name in vars(kind) if isinstance(vars(kind)[name], cached_property)]
        return tuple(
            getattr(self, name) for name in names if name not in {"patterns", "spelling", "_end"}
        )

    @cached_property
    def spelling(self) -> Spelling:
        """Corrects typing errors to the longer words of the table."""
        sources = " ".join(pattern.pattern for pattern in self.patterns)
        return Spelling(frozenset(_WORD.findall(sources.replace("\\", " "))))

    def _compiled(self, phrases: str) -> re.Pattern[str]:
        lines = [line.strip() for line in phrases.strip().splitlines() if line.strip()]
        if not lines:
            return re.compile(_NEVER)
        source = "|".join(self._filled(line) for line in lines)
        return re.compile(rf"(?<![^ ,])(?:{source})(?![^ ,])")

    def _filled(self, phrase: str) -> str:
        for _ in range(4):  # slots may hold slots
            phrase = re.sub(r"\{(\w+)\}", lambda found: f"({self.slots[found[1]]})", phrase)
        source = re.sub(r"\((?!\?)", "(?:", self.folded(phrase))
        word = rf" (?!(?:{self.within})(?![^ ,]))[^ ,]+"
        source = source.replace("~~", f"(?:{word}){{0,8}}").replace("~", f"(?:{word}){{0,3}}")
        return source.replace("$", self._end)

    @cached_property
    def _end(self) -> str:
        """What finds the end of a clause, without reading beyond it."""
        courtesies = "|".join(line.strip() for line in self.polite.strip().splitlines())
        phrase = re.sub(r"\((?!\?)", "(?:", self.folded(f"( ({courtesies}))*"))
        return rf"(?={phrase}(?: ,| (?:{self.joins})(?![^ ,])|\Z))"
