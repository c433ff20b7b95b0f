"""What happened in this process that somebody must learn of, until an alert about it is stored."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

from preference_center.core.links import LinkKeyProblem
from preference_center.core.occurrences import Noted, Occurrence, Threshold
from preference_center.infra import metrics

_lock = threading.Lock()
_noted: set[Noted] = set()

MIN_UNVERIFIED = 5
"""From how many links in UNVERIFIED_PERIOD on their key may have another secret: a stranger, or a
program that alters links, can cause a single one at any time."""
UNVERIFIED_PERIOD = timedelta(hours=1)
_unverified = {
    problem: Threshold(MIN_UNVERIFIED, UNVERIFIED_PERIOD)
    for problem in (LinkKeyProblem.SIGNATURE, LinkKeyProblem.MAILTO)
}


def note(kind: Occurrence, subject: str = "") -> None:
    """It has happened now."""
    with _lock:
        _noted.add((kind, subject))


def count_link_key_problem(problem: LinkKeyProblem) -> None:
    """Count it. One of an unknown key is an occurrence, and so are several of a wrong signature."""
    metrics.count_link_key_problem(problem)
    if problem is LinkKeyProblem.UNKNOWN:
        note(Occurrence.LINKS_FAIL)
    elif problem in _unverified:
        with _lock:
            reached = _unverified[problem].reached(time.monotonic())
        if reached:
            note(Occurrence.LINKS_UNVERIFIED, problem)


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
