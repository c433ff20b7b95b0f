"""What the pages of the window say: states, ages and what to do next."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import assert_never

from flask_babel import format_decimal, ngettext
from flask_babel import gettext as _

from preference_center.core.deadlines import DeadlineStage
from preference_center.destinations.rules.condition import Condition
from preference_center.destinations.rules.promise import Promise
from preference_center.destinations.store.board import DestinationState
from preference_center.web.languages import format_short_time, join_names

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


def state_badge(state: DestinationState, now: datetime) -> tuple[str, str]:
    """The state in words, and the kind of its badge."""
    match state.condition(now):
        case Condition.OBSERVED:
            return _("observed"), "none"
        case Condition.PAUSED:
            return _("paused"), "warn"
        case Condition.RATE_LIMITED:
            return _("slowed down"), "warn"
        case Condition.FAILED | Condition.TRIED_AGAIN:
            return _("broken"), "bad"
        case Condition.NOT_READABLE | Condition.DRIFTED | Condition.WELL:
            return _("running"), "good"
        case _ as never:
            assert_never(never)


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
    at = format_short_time(state.retry_at) if state.retry_at else ""
    return str(
        {
            Condition.OBSERVED: _(
                "Nothing is pushed yet. Look at the preview, then resume it to start pushing."
            ),
            Condition.PAUSED: _(
                "Nothing is pushed, and the 72 hours keep running. Resume it when you can."
            ),
            Condition.RATE_LIMITED: _("Its rate limit is reached. It goes on by itself."),
            Condition.FAILED: _(
                "It failed, so nothing is pushed until %(time)s, then it is tried again by"
                " itself. Check it to see what is wrong.",
                time=at,
            ),
            Condition.TRIED_AGAIN: _(
                "It failed and is being tried again now. Check it to see what is wrong."
            ),
            Condition.NOT_READABLE: _(
                "It is pushed to, but reading from it fails. Check it to see what is wrong."
            ),
            Condition.DRIFTED: _(
                "The tool has lost opt-outs that it had confirmed. They are being pushed again."
            ),
            Condition.WELL: "",
        }[state.condition(now)]
    )
