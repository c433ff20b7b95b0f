"""`find_requests` finds in a clause what objects to advertising, by the kinds of its words.

A rule names the kinds of words that a request consists of; they may stand in any order. So
"leave me mail" matches "unsubscribe me from your newsletter" and "vom Newsletter bitte abmelden":
the tables of `ObjectionLanguage` say which words are of which kind. Words of no kind are unknown:
they may be what the request is really about, so a rule states how many it accepts.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from preference_center.inbound.rules.objections.language import ObjectionLanguage

_MAX_MARKS = 12
"""Words of one kind that are tried in a clause, so that the time is linear in the text."""
_MAX_SPAN = 20
"""Words from the first to the last of a request."""
_NEGATION_WINDOW = 5
"""Words before a request in which a negation applies to it."""
_INDEFINITE = re.compile(r"(?:zadn|nessun|ningun|aucun|nenhu)[a-z]*\Z")
"""What agrees with a negation and does not reverse it: "nie chcę żadnych reklam"."""
_ENDING = ("leave", "remove", "removed", "stop")
_GAPPED = (*_ENDING, "contact", "withdraw", "not")
"""Kinds with entries that leave a gap for other words: these are known by their own kinds."""
_KNOWN = (
    *("me", "data", "send", "get", "want", "more", "this", "enough", "mail", "list", "object"),
    *("purpose", "consent", "law", "use", "neutral", "courtesy", "greeting", "remark", "polite"),
    *("right", "peace", "client"),
)


@dataclass(frozen=True, slots=True)
class Rule:
    """The kinds of words of a request, `a|b` for either."""

    kinds: tuple[str, ...]
    ends: bool = False
    """Whether nothing unknown may follow in the clause."""
    gap: int = 1
    """Unknown words accepted between the words of the request."""
    rest: int = 4
    """Unknown words accepted in the rest of the clause."""
    verbless: bool = False
    """Whether the clause may have no subject: "no mail" but not "I have no mail"."""
    able: bool = False
    """Whether it may not be about what the writer is unable to do: "I can't use my voucher"."""

    @property
    def is_negative(self) -> bool:
        """Whether a negation is part of the request."""
        return "not" in self.kinds


def _rule(
    kinds: str,
    *,
    ends: bool = False,
    gap: int = 1,
    rest: int = 4,
    verbless: bool = False,
    able: bool = False,
) -> Rule:
    return Rule(tuple(kinds.split()), ends, gap, rest, verbless, able)


REQUESTS = (
    _rule("not want get mail|list|more|this", ends=True),
    _rule("not want get", ends=True, gap=0),
    _rule("not want mail", ends=True, gap=0, rest=2),
    _rule("not send mail", ends=True),
    _rule("not send more|this", ends=True, gap=0),
    _rule("not send me", ends=True, gap=0),
    _rule("not contact", ends=True, gap=0),
    _rule("not contact more|mail", ends=True, gap=0, rest=2),
    _rule("not more mail", gap=0, rest=0, verbless=True),
    _rule("not consent purpose|mail|contact|send", gap=4, rest=12),
    _rule("not use data|me purpose", gap=4, rest=12, able=True),
    _rule("leave me", ends=True, rest=1),
    _rule("leave want", gap=0, rest=0),
    _rule("leave list|mail", rest=0),
    _rule("leave me|want list|mail", ends=True, rest=3),
    _rule("remove me|data list|mail", ends=True),
    _rule("remove me", ends=True),
    _rule("removed want|polite list|mail", ends=True, gap=0, rest=2),
    _rule("removed want|polite", ends=True, gap=0, rest=2),
    _rule("stop mail", ends=True, gap=0, rest=1),
    _rule("stop send|contact mail|more", ends=True),
    _rule("stop send|contact|get", ends=True),
    _rule("object purpose|law", gap=12, rest=20),
    _rule("object use|data", gap=4, ends=True),
    _rule("right", rest=20),
    _rule("withdraw consent", ends=True, gap=0, rest=3),
    _rule("withdraw consent purpose|mail", gap=6, rest=12),
    _rule("peace", rest=4),
)
"""What counts wherever it stands in a sentence, what contains a negation first."""

VERBAL_REQUESTS = tuple(rule for rule in REQUESTS if not rule.verbless)


BARE_REQUESTS = (
    _rule("not mail", verbless=True),
    _rule("not contact"),
    *REQUESTS,
    *map(
        _rule, ("leave", "remove mailing_list", "remove me", "stop mail|contact|send", "list leave")
    ),
    *map(_rule, ("object purpose", "enough mail", "withdraw consent")),
)
"""What counts if its sentence contains nothing unknown."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request in a clause: the first and last of its words, and whether it is negated."""

    start: int
    end: int
    is_negated: bool


class Clause:
    """A clause in a language's table. Positions are those of words."""

    def __init__(self, language: ObjectionLanguage, words: str) -> None:
        self.language = language
        self.text = words
        self.words = words.split(" ")
        self._starts = [0, *accumulate(len(word) + 1 for word in self.words)]
        self._marks: dict[str, Sequence[range]] = {}
        self._all: dict[str, Sequence[range]] = {}

    def marks(self, kinds: str) -> Sequence[range]:
        """Where words of one of the kinds stand, the first dozen."""
        if kinds not in self._marks:
            found = [mark for kind in kinds.split("|") for mark in self._of_kind(kind)]
            self._marks[kinds] = found[:_MAX_MARKS]
        return self._marks[kinds]

    def _of_kind(self, kind: str) -> Sequence[range]:
        if kind not in self._all:
            self._all[kind] = [
                range(bisect_right(self._starts, at.start()) - 1, self._word_before(at.end()) + 1)
                for at in self.language.patterns[kind].finditer(self.text)
            ]
        return self._all[kind]

    def _word_before(self, end: int) -> int:
        return bisect_right(self._starts, end - 1) - 1

    @cached_property
    def unknown(self) -> Sequence[int]:
        """The words of no kind; numbers do not count."""
        known = {at for kind in _KNOWN for mark in self._of_kind(kind) for at in mark}
        gapped = [mark for kind in _GAPPED for mark in self._of_kind(kind)]
        known |= {at for mark in gapped for at in (mark[0], mark[-1])}
        return [
            at
            for at, word in enumerate(self.words)
            if at not in known and word.isalpha() and len(word) > 1
        ]

    def count_unknown(self, start: int, stop: int) -> int:
        """The unknown words from `start` up to `stop`."""
        return sum(start <= at < stop for at in self.unknown)


def find_requests(clause: Clause, rules: Sequence[Rule] = REQUESTS) -> Iterator[Request]:
    """The requests of a clause, those with a negation of their own first."""
    if not clause.language.essential.search(clause.text):
        return
    own: set[int] = set()
    for rule in rules:
        span = _find_span(clause, rule)
        if span is None or not (rule.is_negative or own.isdisjoint(span)):
            continue
        if rule.is_negative:
            own.update(span)
        yield Request(span[0], span[-1], _is_negated(clause, rule, span, own))


def _find_span(clause: Clause, rule: Rule) -> range | None:
    groups = []
    for kinds in rule.kinds:
        groups.append(clause.marks(kinds))
        if not groups[-1]:
            return None
    spans = [
        span for first in groups[0] if (span := _span_around(first, rule.kinds[1:], groups[1:]))
    ]
    return next((span for span in sorted(spans, key=len) if _fits(clause, rule, span)), None)


def _span_around(
    first: range, kinds: Sequence[str], groups: Sequence[Sequence[range]]
) -> range | None:
    """The words from a first mark to the nearest of each other kind.

    No mark counts twice, but for a pronoun that is the ending of a verb ("cancellatemi").
    """
    start, stop, used = first.start, first.stop, [first]
    for kind, group in zip(kinds, groups, strict=True):
        free = group if "me" in kind else [mark for mark in group if mark not in used]
        if not free:
            return None
        near = min(free, key=lambda mark: max(mark.start - stop, start - mark.stop))
        start, stop = min(start, near.start), max(stop, near.stop)
        used += [] if "me" in kind else [near]
    return range(start, stop)


def _fits(clause: Clause, rule: Rule, span: range) -> bool:
    inside = clause.count_unknown(span.start, span.stop)
    after = clause.count_unknown(span.stop, len(clause.words))
    if rule.is_negative and any(
        mark.start in range(span.start, span.stop + 2)
        for kind in _ENDING
        for mark in clause.marks(kind)
    ):
        return False  # "I do not want to be removed from your newsletter"
    return (
        len(span) <= _MAX_SPAN
        and inside <= rule.gap
        and len(clause.unknown) - inside <= rule.rest
        and not (rule.ends and after)
        and not (rule.verbless and clause.marks("subject|leave|remove|removed|stop"))
        and not (rule.able and clause.marks("unable"))
    )


def _is_negated(clause: Clause, rule: Rule, span: range, own: set[int]) -> bool:
    window = range(max(span.start - _NEGATION_WINDOW, 0), span.stop)
    after = clause.words[span.stop : span.stop + 3]
    agrees = rule.is_negative and any(_INDEFINITE.match(clause.words[at]) for at in span)
    return any(
        mark.start in window and mark.start not in own
        for mark in clause.marks("reversal" if agrees else "not|reversal")
    ) or bool(clause.language.patterns["trailing_not"].match(" ".join(after)))


def is_bare_clause(clause: Clause) -> bool:
    """Whether a clause is a request, or a stop word, and contains nothing else."""
    patterns = clause.language.patterns
    alone = " ".join(patterns["courtesy"].sub(" ", clause.text).split())
    if patterns["stop_words"].fullmatch(alone):
        return True
    return (
        any(not request.is_negated for request in find_requests(clause, BARE_REQUESTS))
        and not clause.unknown
    )
