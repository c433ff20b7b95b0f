"""What a Save on the preference page did, and what of it still holds when the page is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from preference_center.contacts.rules.preferences import Preferences


class SaveProblem(StrEnum):
    """Why something that was asked for was not turned on, or nothing done at all."""

    INVALID_FORM = "invalid_form"
    MISSING_COOKIE = "missing_cookie"
    MAIL_LIMIT_REACHED = "mail_limit_reached"
    MAIL_UNAVAILABLE = "mail_unavailable"
    RESTRICTED = "restricted"
    TOO_LATE_TO_UNDO = "too_late_to_undo"


@dataclass(frozen=True, slots=True)
class SaveResult:
    """The outcome of a Save, by scope. `rendered_at` is when the form was made."""

    rendered_at: datetime
    turned_off: Sequence[str] = ()
    paused: Mapping[str, datetime] = field(default_factory=dict)
    """Scope -> end, of new pauses."""
    turned_on: Sequence[str] = ()
    resumed: Sequence[str] = ()
    frequencies: Mapping[str, str] = field(default_factory=dict)
    """Topic -> how often it is sent from now on."""
    lowered: Sequence[str] = ()
    """The topics among them that are sent less often than before: an undo takes these back."""
    to_confirm: Sequence[str] = ()
    """What an email asks to confirm."""
    frequencies_to_confirm: Mapping[str, str] = field(default_factory=dict)
    """The same of topics that are to be sent more often."""
    unsaved: Sequence[str] = ()
    """What could not be turned on and stays ticked, to save again."""
    undone: Sequence[str] = ()
    """What was turned off or paused and taken back."""
    problem: SaveProblem | None = None
    names_left_out: bool = False
    """Whether more was changed than could be listed."""

    @property
    def has_stopped(self) -> bool:
        """Whether something was turned off or paused."""
        return bool(self.turned_off or self.paused)

    @property
    def has_changed(self) -> bool:
        """Whether anything is different from before."""
        turned_on = self.turned_on or self.resumed
        return bool(self.has_stopped or turned_on or self.frequencies or self.undone)


@dataclass(frozen=True, slots=True)
class ShownResult:
    """A result as far as it is true now; for a page that may be reloaded much later."""

    saved: SaveResult
    still_paused: Mapping[str, datetime]
    """What was turned on or resumed and is paused, with the end."""
    turned_off_since: Sequence[str]
    """What was turned on, and off by something newer than the form."""
    left_off: Sequence[str]
    """What was turned on and is off for another reason, e.g. it is not sent any more."""
    is_outdated: bool
    """Whether something of it was changed since."""


def show_result(result: SaveResult, current: Preferences) -> ShownResult:
    """What to say of `result`, given what is recorded now: no reason is named that is not so."""
    still_off = [scope for scope in result.turned_off if not current.is_on(scope)]
    ends = {scope: _pause_end(current, scope) for scope in result.paused}
    paused = {scope: end for scope, end in ends.items() if end == result.paused[scope]}
    on = [scope for scope in result.turned_on if current.is_on(scope)]
    off = [scope for scope in result.turned_on if not current.is_on(scope)]
    resumed = [scope for scope in result.resumed if current.is_on(scope)]
    newer = [scope for scope in off if was_turned_off_after(current, scope, result.rendered_at)]
    kept = {scope: _pause_end(current, scope) for scope in (*on, *resumed)}
    waiting = [
        scope
        for scope in result.to_confirm
        if not current.is_on(scope) or _pause_end(current, scope)
    ]
    in_force = _in_force(result.frequencies, current)
    true = replace(
        result,
        turned_off=still_off,
        paused=paused,
        turned_on=on,
        resumed=resumed,
        frequencies=in_force,
        lowered=[topic for topic in result.lowered if topic in in_force],
        to_confirm=waiting,
        frequencies_to_confirm={
            topic: key
            for topic, key in result.frequencies_to_confirm.items()
            if topic not in _in_force(result.frequencies_to_confirm, current)
        },
        unsaved=[scope for scope in result.unsaved if not current.is_on(scope)],
        undone=[scope for scope in result.undone if current.is_on(scope)],
    )
    return ShownResult(
        true,
        still_paused={scope: end for scope, end in kept.items() if end},
        turned_off_since=newer,
        left_off=[scope for scope in off if scope not in newer],
        is_outdated=result.has_changed and not true.has_changed and not off,
    )


def was_turned_off_after(current: Preferences, scope: str, at: datetime) -> bool:
    """Whether what keeps `scope` off now was recorded after `at`."""
    status = current.for_scope(scope)
    return bool(status and status.since and status.since > at)


def _in_force(frequencies: Mapping[str, str], current: Preferences) -> dict[str, str]:
    return {
        topic: key
        for topic, key in frequencies.items()
        if (status := current.for_scope(topic)) and status.frequency == key
    }


def _pause_end(current: Preferences, scope: str) -> datetime | None:
    status = current.for_scope(scope)
    return status.paused_until if status else None
