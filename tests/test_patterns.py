"""No regular expression takes a time that grows with the square of a text somebody sends."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import preference_center
import workers
from preference_center.inbound.rules.objections import LANGUAGES
from preference_center.inbound.rules.objections.language import MAX_SENTENCE_LENGTH

PACKAGES = (preference_center, workers)
STARTED = ("__main__", "wsgi", "asgi", "spark")
"""Modules that start a process, or need Java, when they are imported."""

LENGTH = 4_000
"""Characters of each hostile text: a linear search takes a millisecond or two for them."""
LIMIT = 0.03
"""CPU seconds. The quadratic patterns that were found took 0.1 to 1.2 for such a text."""
OBJECTIONS = "preference_center.inbound.rules.objections"
CAPPED = {f"{OBJECTIONS}:LANGUAGES": MAX_SENTENCE_LENGTH}
"""The longest text that reaches a pattern whose caller refuses longer ones."""

PUMPS = (
    *(" ", "\n", "\t", "\r", "\r\n", " \n", "a", "1", ".", "-", "_", "+", "=", "@", "#", "%", "&"),
    *("<", ">", '"', "'", "\\", "\\a", ",", ";", ":", "/", "(", ")", "()", "{", "{{", "{%", "[["),
    *("[", "*|", "|", "<%", "%%", "${", "=?", "a ", "a.", "a-", "a,", "a@", "@a", "1 ", "1.", "- "),
    *("--", "__", "\n\n", "\n ", ">\n", "a\n", "a:\n", "<a ", "x1", '"a"', "\u2013", "\u00e9"),
)
ENDS = ("\x00", "!\n", "Z@")
METHODS = frozenset({"search", "match", "fullmatch", "finditer", "findall", "sub", "split"})


def used_methods() -> dict[str, set[str]]:
    """By the name of a pattern, how the two packages apply it."""
    methods: dict[str, set[str]] = defaultdict(set)
    for package in PACKAGES:
        for path in Path(package.__path__[0]).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and node.attr in METHODS:
                    owner = node.value
                    name = owner.id if isinstance(owner, ast.Name) else ""
                    name = owner.attr if isinstance(owner, ast.Attribute) else name
                    methods[name].add(node.attr)
    return methods


def patterns() -> Iterator[tuple[str, str, re.Pattern[Any]]]:
    """Module, name and pattern of each that a module keeps, also in its tables."""
    for language in LANGUAGES:  # compiled on demand
        yield from ((OBJECTIONS, "LANGUAGES", pattern) for pattern in language.patterns.values())
    for package in PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not found.name.endswith(STARTED):
                module = importlib.import_module(found.name)
                for name, value in vars(module).items():
                    yield from ((found.name, name, pattern) for pattern in inside(value))


def inside(value: object, depth: int = 2) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif depth and isinstance(value, (tuple, list, set, frozenset)):
        for item in value:
            yield from inside(item, depth - 1)
    elif depth and isinstance(value, dict):
        yield from inside([*value.values()], depth - 1)


def words_of(pattern: str) -> list[str]:
    """Literal beginnings that a hostile text would use."""
    return sorted(set(re.findall(r"[A-Za-z]{3,}", re.sub(r"\\.", " ", pattern))))[:8]


def slow_text(pattern: re.Pattern[Any], method: str, length: int) -> tuple[str, str] | None:
    """A repeated text and an end on which the pattern takes too long."""
    source = pattern.pattern
    words = words_of(source if isinstance(source, str) else source.decode())
    for pump in (*PUMPS, *words, *(f"{word} " for word in words)):
        for end in ENDS:
            text = pump * (length // len(pump)) + end
            took = seconds(pattern, method, text)
            # A machine that is busy may take as long for what is linear, but then for half of
            # it half as long, and not a quarter.
            if took > LIMIT and took > 3 * seconds(pattern, method, text[: length // 2] + end):
                return pump, end
    return None


def seconds(pattern: re.Pattern[Any], method: str, text: str) -> float:
    """CPU seconds of this thread, the least of up to three runs: others' load does not count."""
    least = float("inf")
    given = text if isinstance(pattern.pattern, str) else text.encode()
    for _ in range(3):
        begun = time.thread_time()
        found = getattr(pattern, method)(given)
        if method == "finditer":
            deque(found, maxlen=0)
        least = min(least, time.thread_time() - begun)
        if least <= LIMIT:
            break
    return least


def test_every_pattern_is_applied_in_a_time_linear_in_the_text() -> None:
    methods = used_methods()
    slow = {}
    seen = set()
    for module, name, pattern in patterns():
        if (pattern, name) in seen:  # another module imports it from where it is made
            continue
        seen.add((pattern, name))
        used = methods.get(name, METHODS)
        method = next((each for each in ("fullmatch", "match") if used <= {each}), "finditer")
        place = f"{module}:{name}"
        if text := slow_text(pattern, method, CAPPED.get(place, LENGTH)):
            slow[place] = text
    assert slow == {}
