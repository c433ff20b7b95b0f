"""The plots of the window: the oldest opt-out, what waits, and pushes per hour, over time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import request
from flask_babel import format_date, format_time
from flask_babel import gettext as _

from preference_center.core.deadlines import AT_RISK, TARGET, WINDOW
from preference_center.destinations import words
from preference_center.destinations.store import samples
from preference_center.destinations.store.samples import Sample
from preference_center.infra.db.transactions import Connection
from preference_center.web.console.charts import PERIODS, Period, Plot, find_period, make_plot

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
        words.number,
        [(_("Addresses that wait"), lambda each: words.number(each.pending))],
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
        words.number,
        [
            (_("Pushed per hour"), lambda each: words.number(round(each.pushed * per_hour))),
            (_("Failed per hour"), lambda each: words.number(round(each.failed * per_hour))),
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
        lambda value: words.length(value * unit),
        [(_("Oldest"), lambda each: words.length(each.age) if each.age else "–")],
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
