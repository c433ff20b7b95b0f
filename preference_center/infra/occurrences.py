"""What happened in this process that somebody must learn of, until an alert about it is stored."""

from __future__ import annotations

import threading

from preference_center.core.links import LinkKeyProblem
from preference_center.core.occurrences import Noted, Occurrence
from preference_center.infra import metrics

_lock = threading.Lock()
_noted: set[Noted] = set()


def note(kind: Occurrence, subject: str = "") -> None:
    """It has happened now."""
    with _lock:
        _noted.add((kind, subject))


def count_link_key_problem(problem: LinkKeyProblem) -> None:
    """Count it; it is an occurrence, too, unless the link still opts out."""
    metrics.count_link_key_problem(problem)
    if problem is not LinkKeyProblem.OPT_OUT_ONLY:
        note(Occurrence.LINKS_FAIL, problem)


def take() -> frozenset[Noted]:
    """What was noted since this was called before."""
    with _lock:
        found = frozenset(_noted)
        _noted.clear()
    return found


def put_back(found: frozenset[Noted]) -> None:
    """What was taken could not be stored."""
    with _lock:
        _noted.update(found)
