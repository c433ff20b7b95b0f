"""`without_calls` leaves writing of what is asked about calls and writing: "don't call or text me".

So "don't text me" decides whether it objects. Calls that stand alone stay: who cancels a call, or
wants a mail instead of it, objects to no advertising.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from preference_center.inbound.rules.objections.language import ObjectionLanguage

_NEGATION_WINDOW = 4
"""Words before a call in which a negation applies to it."""


def without_calls(language: ObjectionLanguage, words: str) -> str:
    """The words without calls that "or", "nor" or "and" joins to writing."""
    before, after = _patterns(language)
    if not language.patterns["any_call"].search(words):
        return words

    def keep(found: re.Match[str]) -> str:
        kept = found.groupdict().get("kept") or ""
        return kept if _is_joined(language, found) else found[0]

    return " ".join(after.sub(keep, before.sub(keep, words)).split())


def _is_joined(language: ObjectionLanguage, found: re.Match[str]) -> bool:
    """Whether a negation of the one applies to the other: not in "don't call me and write"."""
    last = found.string[: found.start()].rpartition(",")[2].split()[-_NEGATION_WINDOW:]
    is_negated = language.patterns["not"].search(" ".join(last)) is not None
    if found["command"] and "kept" not in found.groupdict():
        return is_negated and not found["and"]  # but "call me and don't write"
    return not found["and"] or found["noun"] is not None or not (found["command"] or is_negated)


@cache
def _patterns(language: ObjectionLanguage) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What finds calls before writing, and after."""
    kind: Mapping[str, str] = {name: each.pattern for name, each in language.patterns.items()}
    call = f"(?:(?P<noun>{kind['calls']})|(?P<verb>{kind['calling']})|(?P<command>{kind['call']}))"
    writing = "|".join(kind[name] for name in ("writing", "contact", "send", "mail", "get_mail"))
    few = f"(?: (?:{'|'.join(kind[name] for name in ('me', 'more', 'link'))})){{0,3}}"
    joint = f" (?:{kind['nor']}|(?P<and>{kind['both']}))"
    before = re.compile(f"{call}{few}{joint}{few}(?= (?:{writing}))")
    after = re.compile(f"(?P<kept>(?:{writing}){few}){joint}{few} {call}")
    return before, after
