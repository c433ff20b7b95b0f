"""The changes between a rendered preference page and the submitted form."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from preference_center.domain.decisions import ScopeFact
from preference_center.domain.events import ALL_MARKETING, REPEAT_INTERVAL, Change
from preference_center.links import Link
from preference_center.pages.ledger_changes import PREFERENCE_PAGE, opt_in, opt_out, pause, resume
from preference_center.pages.preference_choices import own_pause_end

PAUSE_DAYS = (7, 30, 90)
"""The durations of a pause, in days."""

RESUME_CHOICE = "resume"
"""The form's value, instead of days, to end a pause."""


@dataclass(frozen=True, slots=True)
class SubmittedPreferences:
    """The submitted form: ticked boxes, and the choice of each pause field by scope."""

    all_marketing: bool
    topics: Collection[str]
    pauses: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PreferenceChanges:
    """The changes that a submitted form asks for."""

    opt_outs: Sequence[Change]
    pauses: Sequence[Change]
    opt_ins: Sequence[Change]
    resumes: Sequence[Change]

    @property
    def turned_off(self) -> list[Change]:
        """The changes that any holder of a link may make."""
        return [*self.opt_outs, *self.pauses]

    @property
    def turned_on(self) -> list[Change]:
        """The changes that take proof of control of the address."""
        return [*self.opt_ins, *self.resumes]


def diff_preferences(
    link: Link,
    rendered: Mapping[str, Any],
    rendered_at: datetime,
    submitted: SubmittedPreferences,
    facts: Sequence[ScopeFact],
    now: datetime,
) -> PreferenceChanges:
    """The differences between the submitted and the rendered state.

    What a stale form or a second tab did not touch stays as it is (I5, RULES C4). `facts`
    are current: a pause that is active already is not begun again (I7).
    """
    was: dict[str, bool] = {ALL_MARKETING: rendered["all"], **rendered["topics"]}
    wanted = {key: key in submitted.topics for key in rendered["topics"]}
    wanted |= {ALL_MARKETING: submitted.all_marketing}
    differing = [key for key in was if was[key] != wanted[key]]
    outs = [key for key in differing if was[key]]
    # A pause of what is off, or of what the same form turns off, has no effect.
    pausable = [key for key in was if was[key] and not {key, ALL_MARKETING} & {*outs}]
    chosen = {key: submitted.pauses.get(key, "") for key in pausable}
    return PreferenceChanges(
        opt_outs=[opt_out(link, key, PREFERENCE_PAGE, now) for key in outs],
        pauses=[*_new_pauses(link, chosen, facts, now)],
        opt_ins=[opt_in(link, key, rendered_at, now) for key in differing if not was[key]],
        resumes=[
            resume(link, key, rendered_at, now)
            for key, choice in chosen.items()
            if choice == RESUME_CHOICE and own_pause_end(key, facts, now)
        ],
    )


def _new_pauses(
    link: Link, chosen: Mapping[str, str], facts: Sequence[ScopeFact], now: datetime
) -> Iterator[Change]:
    for scope, choice in chosen.items():
        days = next((days for days in PAUSE_DAYS if str(days) == choice), None)
        if days is None:
            continue
        current_end = own_pause_end(scope, facts, now)
        if current_end is None or abs(current_end - now - timedelta(days=days)) > REPEAT_INTERVAL:
            yield pause(link, scope, days, now)
