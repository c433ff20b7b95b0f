"""The changes between a rendered preference page and the submitted form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from preference_center.domain.events import ALL_MARKETING, Change
from preference_center.domain.preference_form import (
    SubmittedPreferences,
    diff_scopes,
    kept_pauses,
)
from preference_center.domain.preferences import Preferences
from preference_center.links import Link
from preference_center.pages.ledger_changes import PREFERENCE_PAGE, opt_in, opt_out, pause, resume


@dataclass(frozen=True, slots=True)
class PreferenceChanges:
    """The changes that a submitted form asks for."""

    opt_outs: Sequence[Change]
    pauses: Sequence[Change]
    opt_ins: Sequence[Change]
    resumes: Sequence[Change]
    kept_pauses: Sequence[Change]
    """Recorded with the opt-ins, so that a pause holds."""

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
    current: Preferences,
    now: datetime,
) -> PreferenceChanges:
    """The changes of a submitted form, as `diff_scopes` finds them."""
    was = {ALL_MARKETING: rendered["all"], **rendered["topics"]}
    scopes = diff_scopes(was, submitted, current, now)
    kept = kept_pauses(scopes.opt_ins, current)
    return PreferenceChanges(
        opt_outs=[opt_out(link, scope, PREFERENCE_PAGE, now) for scope in scopes.opt_outs],
        pauses=[pause(link, scope, until, now) for scope, until in scopes.pauses.items()],
        opt_ins=[opt_in(link, scope, rendered_at, now) for scope in scopes.opt_ins],
        resumes=[resume(link, scope, rendered_at, now) for scope in scopes.resumes],
        kept_pauses=[pause(link, scope, until, now) for scope, until in kept.items()],
    )
