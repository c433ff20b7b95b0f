"""What the pages of the window say: states, ages and what to do next."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import assert_never

from flask_babel import format_decimal, ngettext
from flask_babel import gettext as _

from preference_center.domain.deadlines import DeadlineStage
from preference_center.domain.promise import Promise
from preference_center.domain.sync.destination import DestinationStatus, status_label
from preference_center.languages import format_short_time, join_names
from preference_center.storage.sync.board import DestinationState

_MINUTE = timedelta(minutes=1)
_HOURS_FROM = timedelta(hours=2)
MAX_NAMED = 5
"""How many destinations a sentence names."""


def number(value: float) -> str:
    """A count, as the language writes it."""
    return str(format_decimal(round(value)))


def duration(since: datetime, now: datetime) -> str:
    """How long something has waited."""
    return length(max(now - since, timedelta(0)))


def length(waited: timedelta) -> str:
    """A length of time: in minutes, from two hours on in hours."""
    if waited < _MINUTE:
        return str(_("less than a minute"))
    if waited < _HOURS_FROM:
        return str(ngettext("%(num)s minute", "%(num)s minutes", waited // _MINUTE))
    return str(ngettext("%(num)s hour", "%(num)s hours", waited // timedelta(hours=1)))


def is_rate_limited(state: DestinationState) -> bool:
    """Whether it works, and is waited for since it takes no more requests now."""
    return state.retry_at is not None and not state.failures


def state_badge(state: DestinationState) -> tuple[str, str]:
    """The state in words, and the kind of its badge."""
    if state.status is DestinationStatus.ACTIVE and is_rate_limited(state):
        return _("slowed down"), "warn"
    return {
        DestinationStatus.ACTIVE.value: (_("running"), "good"),
        DestinationStatus.PAUSED.value: (_("paused"), "warn"),
        DestinationStatus.OBSERVE.value: (_("observed"), "none"),
    }.get(status_label(state.status, state.retry_at), (_("broken"), "bad"))


def stage_badge(stage: DeadlineStage) -> tuple[str, str]:
    """How late something is in words, and the kind of its badge."""
    match stage:
        case DeadlineStage.ON_TIME:
            return _("on time"), "good"
        case DeadlineStage.AT_RISK:
            return _("at risk: 36 hours passed"), "warn"
        case DeadlineStage.PAST_TARGET:
            return _("past the target: 48 hours passed"), "bad"
        case DeadlineStage.OVERDUE:
            return _("overdue: 72 hours passed"), "bad"
        case _:
            assert_never(stage)


def promise_text(promise: Promise, now: datetime) -> str:
    """The one sentence that says whether the promise is kept."""
    oldest = promise.oldest_received_at
    if promise.stage is not DeadlineStage.ON_TIME:
        return _late_text(promise, now)
    if oldest is None:
        return str(_("Every opt-out has reached every tool."))
    if now - oldest < _MINUTE:
        return str(_("On time: every opt-out older than a minute has reached every tool."))
    return str(
        _(
            "On time: every opt-out older than %(age)s has reached every tool.",
            age=duration(oldest, now),
        )
    )


def _late_text(promise: Promise, now: datetime) -> str:
    label = stage_badge(promise.stage)[0]
    if promise.late_destinations and promise.oldest_received_at:
        named = list(promise.late_destinations[:MAX_NAMED])
        more = len(promise.late_destinations) - len(named)
        names = join_names([*named, _("others")] if more else named)
        return str(
            _(
                "Late (%(stage)s): an opt-out has waited for %(age)s. Look at %(names)s.",
                stage=label,
                age=duration(promise.oldest_received_at, now),
                names=names,
            )
        )
    return str(
        _(
            "Late (%(stage)s): something was received that nobody has decided yet, see the counts.",
            stage=label,
        )
    )


def advice(state: DestinationState, now: datetime) -> str:
    """What is the matter with a destination that is not running well, and what to do next."""
    match state.status:
        case DestinationStatus.OBSERVE:
            return str(
                _("Nothing is pushed yet. Look at the preview, then resume it to start pushing.")
            )
        case DestinationStatus.PAUSED:
            return str(
                _("Nothing is pushed, and the 72 hours keep running. Resume it when you can.")
            )
        case DestinationStatus.ACTIVE:
            return _active_advice(state, now)
        case _:
            assert_never(state.status)


def _active_advice(state: DestinationState, now: datetime) -> str:
    if is_rate_limited(state):
        return str(_("Its rate limit is reached. It goes on by itself."))
    if state.retry_at is not None:
        if state.retry_at > now:
            return str(
                _(
                    "It failed, so nothing is pushed until %(time)s, then it is tried again by"
                    " itself. Check it to see what is wrong.",
                    time=format_short_time(state.retry_at),
                )
            )
        return str(_("It failed and is being tried again now. Check it to see what is wrong."))
    if state.read_problem:
        return str(_("It is pushed to, but reading from it fails. Check it to see what is wrong."))
    if state.drift_pending:
        return str(
            _("The tool has lost opt-outs that it had confirmed. They are being pushed again.")
        )
    return ""
