"""What a person's answer on the preference page changes."""

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
"""Days that a pause may take."""

RESUME_CHOICE = "resume"
"""What the form says instead of days to end a pause."""


@dataclass(frozen=True, slots=True)
class SubmittedPreferences:
    """What the form brought back: ticked boxes, and per scope what was chosen of `pause`."""

    all_marketing: bool
    topics: Collection[str]
    pauses: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PreferenceChanges:
    """The changes that an answer asks for."""

    opt_outs: Sequence[Change]
    pauses: Sequence[Change]
    opt_ins: Sequence[Change]
    resumes: Sequence[Change]

    @property
    def turned_off(self) -> list[Change]:
        """What any link may say, whoever holds it."""
        return [*self.opt_outs, *self.pauses]

    @property
    def turned_on(self) -> list[Change]:
        """What only the person themselves may say."""
        return [*self.opt_ins, *self.resumes]


def diff_preferences(
    link: Link,
    rendered: Mapping[str, Any],
    rendered_at: datetime,
    submitted: SubmittedPreferences,
    facts: Sequence[ScopeFact],
    now: datetime,
) -> PreferenceChanges:
    """Only what differs from what was rendered.

    What a stale form or a second tab did not touch is left alone (I5, RULES C4). `facts` are
    those of now: a pause that runs already is not begun again (I7).
    """
    was: dict[str, bool] = {ALL_MARKETING: rendered["all"], **rendered["topics"]}
    wanted = {key: key in submitted.topics for key in rendered["topics"]}
    wanted |= {ALL_MARKETING: submitted.all_marketing}
    differing = [key for key in was if was[key] != wanted[key]]
    outs = [key for key in differing if was[key]]
    # A pause of what is off, or of what goes off with the same answer, means nothing.
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
        running = own_pause_end(scope, facts, now)
        if running is None or abs(running - now - timedelta(days=days)) > REPEAT_INTERVAL:
            yield pause(link, scope, days, now)
