"""What a submitted preference form changes, against what was rendered and what is recorded."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from preference_center.domain.events import ALL_MARKETING, REPEAT_INTERVAL
from preference_center.domain.preferences import Preferences

PAUSE_DAYS = (7, 30, 90)
"""The durations of a pause that the page offers, in days; MAX_PAUSE is the longest."""

RESUME_CHOICE = "resume"
"""The form's value, instead of days, to end a pause."""


@dataclass(frozen=True, slots=True)
class SubmittedPreferences:
    """The submitted form: ticked boxes, and the choice of each pause field by scope."""

    all_marketing: bool
    topics: Collection[str]
    pauses: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScopeChanges:
    """The scopes that a submitted form changes; `pauses`: scope -> days."""

    opt_outs: Sequence[str]
    pauses: Mapping[str, int]
    opt_ins: Sequence[str]
    resumes: Sequence[str]


def diff_scopes(
    rendered: Mapping[str, bool],
    submitted: SubmittedPreferences,
    current: Preferences,
    now: datetime,
) -> ScopeChanges:
    """The differences between the submitted and the rendered state.

    `rendered`: scope -> whether it was shown as on. What a stale form or a second tab did not
    touch stays as it is (I5, RULES C4). A pause that is active already is not begun again (I7).
    """
    wanted = {scope: scope in submitted.topics for scope in rendered}
    wanted |= {ALL_MARKETING: submitted.all_marketing}
    differing = [scope for scope in rendered if rendered[scope] != wanted[scope]]
    opt_outs = [scope for scope in differing if rendered[scope]]
    # A pause of what is off, or of what the same form turns off, has no effect.
    pausable = [s for s in rendered if rendered[s] and not {s, ALL_MARKETING} & {*opt_outs}]
    chosen = {scope: submitted.pauses.get(scope, "") for scope in pausable}
    return ScopeChanges(
        opt_outs=opt_outs,
        pauses=dict(_new_pauses(chosen, current, now)),
        opt_ins=[scope for scope in differing if not rendered[scope]],
        resumes=[
            scope
            for scope, choice in chosen.items()
            if choice == RESUME_CHOICE and _own_pause_end(current, scope)
        ],
    )


def _new_pauses(
    chosen: Mapping[str, str], current: Preferences, now: datetime
) -> Iterator[tuple[str, int]]:
    for scope, choice in chosen.items():
        days = next((days for days in PAUSE_DAYS if str(days) == choice), None)
        if days is None:
            continue
        current_end = _own_pause_end(current, scope)
        if current_end is None or abs(current_end - now - timedelta(days=days)) > REPEAT_INTERVAL:
            yield scope, days


def _own_pause_end(current: Preferences, scope: str) -> datetime | None:
    status = current.for_scope(scope)
    return status.own_pause_until if status else None
