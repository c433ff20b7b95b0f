"""Pages of the window show texts and plots from here: states, ages, what to do next, and figures.

The plots show the oldest opt-out, what waits, and pushes per hour, over time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from flask import request
from flask_babel import format_date, format_decimal, format_time, ngettext
from flask_babel import gettext as _

from preference_center.core.deadlines import AT_RISK, TARGET, WINDOW, DeadlineStage
from preference_center.destinations.rules.promise import Promise
from preference_center.destinations.rules.states import Condition
from preference_center.destinations.store import samples
from preference_center.destinations.store.forecasts import Forecast
from preference_center.destinations.store.samples import DestinationState, Sample
from preference_center.infra.db.transactions import Connection
from preference_center.web.console.charts import PERIODS, Period, Plot, find_period, make_plot
from preference_center.web.languages import format_short_time, join_names

_MINUTE = timedelta(minutes=1)


_HOURS_FROM = timedelta(hours=2)


MAX_NAMED = 5
"""How many destinations a sentence names."""


def number(value: float) -> str:
    """A count, as the language writes it."""
    return str(format_decimal(round(value)))


def counted(value: int, *, has_more: bool) -> str:
    """A count that may have stopped at its limit."""
    text = number(value)
    return str(_("%(count)s or more", count=text)) if has_more else text


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
        case Condition.DRIFT_REPEATS:
            return _("loses opt-outs"), "bad"
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


def promise_text(promise: Promise, now: datetime, broken: Sequence[str] = ()) -> str:
    """Says whether the promise is kept, and which destinations are `broken`, late or not."""
    text = _promise_text(promise, now)
    if not broken:
        return text
    names = join_names([*broken[:MAX_NAMED], *([_("others")] if len(broken) > MAX_NAMED else [])])
    return " ".join([text, _("Broken: %(names)s.", names=names)])


def _promise_text(promise: Promise, now: datetime) -> str:
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
                "The last push failed; at %(time)s it is tried again by itself. Check it to see"
                " what is wrong.",
                time=at,
            ),
            Condition.TRIED_AGAIN: _(
                "It failed and is being tried again now. Check it to see what is wrong."
            ),
            Condition.DRIFT_REPEATS: _(
                "The tool confirms opt-outs and loses them again, so people stay mailable there."
                " Find out who writes there, or stop sending from it."
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


def forecast_text(forecast: Forecast | None, now: datetime) -> str:
    """How fast a slow tool is, and whether that is enough; empty without a forecast."""
    if forecast is None or forecast.done_at is None:
        return ""
    text = _(
        "At the rate of %(rate)s an hour it is through at %(time)s.",
        rate=format_decimal(forecast.per_hour(now)),
        time=format_short_time(forecast.done_at),
    )
    if forecast.is_capped:
        text = _(
            "At the rate of %(rate)s an hour it is not through before %(time)s.",
            rate=format_decimal(forecast.per_hour(now)),
            time=format_short_time(forecast.done_at),
        )
    if forecast.late:
        late = _(
            "That is too slow for %(late)s, whose 72 hours end before: raise the rate limit at the"
            " tool, or have it done by hand.",
            late=format_decimal(forecast.late),
        )
        text = f"{text} {late}"
    return str(text)


_HOUR = timedelta(hours=1)


_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot with its texts, and its numbers as a table."""

    id: str
    title: str
    description: str
    plot: Plot
    top: str
    """The value at the upper edge, in words."""
    columns: Sequence[str]
    rows: Sequence[tuple[datetime, Sequence[str]]]
    """The newest first."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The plots of a page, and what stands below each."""

    figures: Sequence[Figure]
    period: Period
    choices: Sequence[tuple[str, str, bool]]
    """Key, label, and whether it is the one that is shown."""
    ticks: Sequence[str]
    """The times at the beginning, in the middle and at the end."""
    most_counted: str
    """How many pushes a sample counts at most."""


def load_figures(connection: Connection, now: datetime, destination: int | None = None) -> Figures:
    """The plots of one destination, or of all, over the period that the request names."""
    period = find_period(request.args.get("period", ""))
    until = samples.sample_time(now)
    since = until - period.length
    found = samples.list_samples(connection, since, until, period.step, destination)
    times = (since, since + period.length / 2, until)
    return Figures(
        list(_figures(found, until, period)) if found else [],
        period,
        [(each.key, _label(each), each is period) for each in PERIODS],
        [_tick(time, period) for time in times],
        number(samples.MAX_DELIVERIES),
    )


def _label(period: Period) -> str:
    return str({"24h": _("24 hours"), "7d": _("7 days"), "30d": _("30 days")}[period.key])


def _tick(time: datetime, period: Period) -> str:
    day = str(format_date(time, "d MMM"))
    return f"{day}, {format_time(time, 'HH:mm')}" if period.length <= _DAY else day


def _figures(found: Sequence[Sample], until: datetime, period: Period) -> Iterator[Figure]:
    yield _age_figure(found, until, period)
    yield _figure(
        "pending",
        _("Addresses that wait"),
        found,
        make_plot(until, period, {each.at: (each.pending,) for each in found}),
        number,
        [(_("Addresses that wait"), lambda each: number(each.pending))],
    )
    per_hour = _HOUR / period.step
    yield _figure(
        "pushed",
        _("Pushed per hour, and failed on top"),
        found,
        make_plot(
            until,
            period,
            {each.at: (each.pushed * per_hour, each.failed * per_hour) for each in found},
        ),
        number,
        [
            (_("Pushed per hour"), lambda each: number(round(each.pushed * per_hour))),
            (_("Failed per hour"), lambda each: number(round(each.failed * per_hour))),
        ],
    )


def _age_figure(found: Sequence[Sample], until: datetime, period: Period) -> Figure:
    """Ages in minutes while all are below two hours, else in hours."""
    longest = max((each.age for each in found if each.age), default=timedelta(0))
    unit = _HOUR if longest >= 2 * _HOUR else timedelta(minutes=1)
    values = {each.at: ((each.age or timedelta(0)) / unit,) for each in found}
    limits = [limit / unit for limit in (AT_RISK, TARGET, WINDOW)]
    return _figure(
        "age",
        _("Age of the oldest opt-out that waits"),
        found,
        make_plot(until, period, values, limits),
        lambda value: length(value * unit),
        [(_("Oldest"), lambda each: length(each.age) if each.age else "–")],
    )


def _figure(
    name: str,
    title: str,
    found: Sequence[Sample],
    plot: Plot,
    format_value: Callable[[float], str],
    columns: Sequence[tuple[str, Callable[[Sample], str]]],
) -> Figure:
    newest = found[-1]
    return Figure(
        name,
        title,
        _(
            "At most %(highest)s; last %(values)s.",
            highest=format_value(plot.highest),
            values=", ".join(f"{label}: {text(newest)}" for label, text in columns),
        ),
        plot,
        format_value(plot.top),
        [label for label, _text in columns],
        [(each.at, [text(each) for _label, text in columns]) for each in reversed(found)],
    )
