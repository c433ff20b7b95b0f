"""This module loads the facts of a report, and puts them into words.

`load_facts` reads counts per day in one transaction. The words are the report's answer, and what
its numbers mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from flask_babel import format_date, format_decimal, ngettext
from flask_babel import gettext as _

from preference_center.catalogue.rules.privacy import Law
from preference_center.core.deadlines import TARGET, WINDOW, DeadlineStage
from preference_center.destinations.rules.promise import ReflectionTimes
from preference_center.destinations.store import deliveries, states
from preference_center.destinations.store.states import LateRows
from preference_center.infra.db.transactions import Connection
from preference_center.recipients.store import SurveyCount, SurveyReason, list_counts_between
from preference_center.reports import store
from preference_center.reports.rules import COUNTED_KINDS, Period, Unit
from preference_center.reports.store import CountProgress, LateRequest, PeriodCounts, RequestCounts
from preference_center.web.languages import format_short_time, join_names

MAX_LATE_LISTED = 50
"""How many late requests are listed."""


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """All of one report. `overdue` is what waits past the window now, whatever the period."""

    period: Period
    unit: Unit
    progress: CountProgress
    counts: PeriodCounts
    reflected_since: date | None
    times: Sequence[ReflectionTimes]
    overdue: Sequence[LateRows]
    requests: Sequence[RequestCounts]
    late_requests: Sequence[LateRequest]
    survey: Sequence[SurveyCount]


def load_facts(connection: Connection, period: Period, unit: Unit, now: datetime) -> ReportFacts:
    """Read them."""
    first, last = period.first, period.last
    start, end = _midnight(first), _midnight(last + timedelta(days=1))
    late = states.list_late(connection, now)
    return ReportFacts(
        period=period,
        unit=unit,
        progress=store.load_progress(connection),
        counts=store.load_counts(connection, first, last, COUNTED_KINDS),
        reflected_since=deliveries.find_first_day(connection),
        times=deliveries.list_reflection_times(connection, first, last),
        overdue=[rows for rows in late if rows.stage is DeadlineStage.OVERDUE],
        requests=store.count_requests(connection, start, end, now),
        late_requests=store.list_late_requests(connection, start, end, now, MAX_LATE_LISTED),
        survey=list_counts_between(connection, first, last),
    )


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


MAX_NAMED = 5
"""How many destinations a sentence names."""


_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)


_HOURS_ONLY_FROM = timedelta(hours=10)


def number(value: int) -> str:
    """A count, as the language writes it."""
    return str(format_decimal(value))


def duration(time: timedelta) -> str:
    """How long something took: `12 s`, `4 min`, `3 h 20 min`, `75 h`."""
    if time < _MINUTE:
        return str(_("%(number)s s", number=round(time.total_seconds())))
    minutes = round(time / _MINUTE)
    if minutes < _HOUR // _MINUTE:
        return str(_("%(number)s min", number=minutes))
    hours, minutes = divmod(minutes, _HOUR // _MINUTE)
    if time >= _HOURS_ONLY_FROM or not minutes:
        return str(_("%(number)s h", number=number(hours + round(minutes / 60))))
    return str(_("%(hours)s h %(minutes)s min", hours=hours, minutes=minutes))


def day(value: date) -> str:
    """A day, as the language writes it."""
    return str(format_date(value, "d MMM y"))


def period_title(period: Period) -> str:
    """The days of a report."""
    return str(_("%(first)s to %(last)s", first=day(period.first), last=day(period.last)))


def law_title(law: Law | None) -> str:
    """A law by its usual abbreviation."""
    return law.value.upper().replace("_", " ") if law else str(_("not stated"))


def survey_reason(reason: str) -> str:
    """Why somebody unsubscribed, as they chose it."""
    words: dict[str, str] = {
        SurveyReason.TOO_OFTEN: _("too often"),
        SurveyReason.NOT_RELEVANT: _("not relevant"),
        SurveyReason.NEVER_ASKED: _("never asked for it"),
        SurveyReason.OTHER: _("another reason"),
    }
    return str(words.get(reason, reason))


def answer(facts: ReportFacts) -> tuple[str, str]:
    """Whether every opt-out was reflected within the window, where not, and late requests.

    With the kind of its frame: good, warn or bad.
    """
    late = [each for each in facts.times if each.count_from(WINDOW)]
    slow = [each for each in facts.times if each.count_from(TARGET)]
    is_late = late or facts.overdue or any(row.late or row.overdue for row in facts.requests)
    kind = "bad" if is_late else "warn" if slow else "good"
    sentences = (_reflected_sentence(facts), _waiting_sentence(facts), _request_sentence(facts))
    return " ".join(each for each in sentences if each), kind


def _reflected_sentence(facts: ReportFacts) -> str:
    total = sum(each.count for each in facts.times)
    if not total:
        return str(_("No opt-out was pushed to a tool in this period."))
    late = {each.destination: each.count_from(WINDOW) for each in facts.times}
    if not any(late.values()):
        slowest = max(facts.times, key=lambda each: each.longest)
        return str(
            _(
                "Every opt-out that was pushed was reflected within 72 hours. Pushes: %(total)s,"
                " the longest after %(time)s (%(tool)s).",
                total=number(total),
                time=duration(slowest.longest),
                tool=slowest.destination,
            )
        )
    return str(
        _(
            "Pushes of an opt-out: %(total)s. Of these took 72 hours or longer: %(late)s,"
            " in %(where)s.",
            total=number(total),
            late=number(sum(late.values())),
            where=_named([(name, count) for name, count in late.items() if count]),
        )
    )


def _waiting_sentence(facts: ReportFacts) -> str:
    """What waits past the window now; the person who reads it must act on that."""
    if not facts.overdue:
        return str(_("None waits for longer than that now."))
    where = _named([(each.destination, each.count) for each in facts.overdue])
    if any(each.at_least for each in facts.overdue):
        return str(_("Past 72 hours and still not reflected are at least: %(where)s.", where=where))
    return str(_("Past 72 hours and still not reflected are: %(where)s.", where=where))


def _request_sentence(facts: ReportFacts) -> str:
    late = sum(row.late + row.overdue for row in facts.requests)
    total = late + sum(row.in_time + row.open for row in facts.requests)
    if not total:
        return str(_("No data-subject request was received."))
    if not late:
        return str(
            ngettext(
                "The one data-subject request is within its time.",
                "All %(num)s data-subject requests are within their time.",
                total,
            )
        )
    return str(
        ngettext(
            "%(num)s data-subject request of %(total)s was or is late.",
            "%(num)s data-subject requests of %(total)s were or are late.",
            late,
            total=number(total),
        )
    )


def _named(found: list[tuple[str, int]]) -> str:
    ordered = sorted(found, key=lambda each: -each[1])
    named = [f"{name} ({number(count)})" for name, count in ordered[:MAX_NAMED]]
    rest = len(ordered) - MAX_NAMED
    if rest > 0:
        named.append(str(ngettext("%(num)s other", "%(num)s others", rest)))
    return join_names(named)


def coverage(facts: ReportFacts) -> Iterator[str]:
    """From when to when there are counts, and what they do not have."""
    progress, period = facts.progress, facts.period
    if progress.counted_until is None:
        yield str(_("Nothing is counted yet: the scheduler does it within minutes."))
    else:
        at = format_short_time(progress.counted_until)
        yield str(_("Counted is what was recorded until %(time)s.", time=at))
    if progress.first_day and progress.first_day > period.first:
        yield str(
            _(
                "There are no counts before %(day)s: flask reports rebuild adds them.",
                day=day(progress.first_day),
            )
        )
    if facts.reflected_since and facts.reflected_since > period.first:
        yield str(_("Times to reflect are known since %(day)s.", day=day(facts.reflected_since)))
    yield str(_("A day ends at midnight UTC."))
