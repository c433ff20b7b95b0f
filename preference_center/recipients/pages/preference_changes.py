"""The changes between a rendered preference page and the submitted form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from preference_center.catalogue import Catalogue
from preference_center.contacts.choices import (
    PREFERENCE_PAGE,
    choose_frequency,
    opt_in,
    opt_out,
    pause,
    resume,
)
from preference_center.contacts.rules.preferences import Preferences
from preference_center.core.events import ALL_MARKETING, Change
from preference_center.core.links.tokens import Link
from preference_center.recipients.rules.preference_form import (
    SubmittedPreferences,
    diff_frequencies,
    diff_scopes,
    kept_pauses,
)


@dataclass(frozen=True, slots=True)
class PreferenceChanges:
    """The changes that a submitted form asks for."""

    opt_outs: Sequence[Change]
    pauses: Sequence[Change]
    opt_ins: Sequence[Change]
    resumes: Sequence[Change]
    kept_pauses: Sequence[Change]
    """Recorded with the opt-ins, so that a pause holds."""
    lowered: Sequence[Change] = ()
    raised: Sequence[Change] = ()
    """How often a topic is sent: less, and more often than now."""

    @property
    def turned_off(self) -> list[Change]:
        """The changes that any holder of a link may make."""
        return [*self.opt_outs, *self.pauses, *self.lowered]

    @property
    def turned_on(self) -> list[Change]:
        """The changes that take proof of control of the address."""
        return [*self.opt_ins, *self.resumes, *self.raised]


def diff_preferences(
    link: Link,
    rendered: Mapping[str, Any],
    rendered_at: datetime,
    submitted: SubmittedPreferences,
    current: Preferences,
    catalogue: Catalogue,
    now: datetime,
) -> PreferenceChanges:
    """The changes of a submitted form, as `diff_scopes` and `diff_frequencies` find them.

    Less often counts from the POST, more often from when the form was rendered (I5).
    """
    was = {ALL_MARKETING: rendered["all"], **rendered["topics"]}
    scopes = diff_scopes(was, submitted, current, now)
    kept = kept_pauses(scopes.opt_ins, current)
    often = diff_frequencies(rendered.get("often", {}), submitted, current, catalogue)

    def choose(frequencies: Mapping[str, str], at: datetime) -> list[Change]:
        topics = ((catalogue.topic(key), chosen) for key, chosen in frequencies.items())
        return [choose_frequency(link, topic, chosen, at, now) for topic, chosen in topics]

    return PreferenceChanges(
        opt_outs=[opt_out(link, scope, PREFERENCE_PAGE, now) for scope in scopes.opt_outs],
        pauses=[pause(link, scope, until, now) for scope, until in scopes.pauses.items()],
        opt_ins=[opt_in(link, scope, rendered_at, now) for scope in scopes.opt_ins],
        resumes=[resume(link, scope, rendered_at, now) for scope in scopes.resumes],
        kept_pauses=[pause(link, scope, until, now) for scope, until in kept.items()],
        lowered=choose(often.lowered, now),
        raised=choose(often.raised, rendered_at),
    )
