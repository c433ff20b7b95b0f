"""Compares what the service reports as late with who still waits for their opt-out (I3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from preference_center.core.deadlines import DeadlineStage
from preference_center.destinations.store.states import LateRows, list_late
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_autocommit
from simulation.comparing import RETRIED, SLACK, Comparison, Difference
from simulation.people import START, forms_of
from simulation.tools import Tool
from simulation.violation import Violation

AFTER = {
    DeadlineStage.AT_RISK: timedelta(hours=36),
    DeadlineStage.PAST_TARGET: timedelta(hours=48),
    DeadlineStage.OVERDUE: timedelta(hours=72),
}
PUT_OFF = timedelta(hours=100)


def check_alarms(comparison: Comparison, found: Sequence[Difference]) -> None:
    """Compare what is reported now; `found` are all differences of now. Raises Violation."""
    now = services().now()
    compare(comparison, found, run_autocommit(lambda c: list_late(c, now)), now)


def compare(
    comparison: Comparison, found: Sequence[Difference], late: Sequence[LateRows], now: datetime
) -> None:
    """Whoever waits for 36, 48 or 72 hours is in a row that is reported, and nobody else is."""
    for tool in comparison.tools.values():
        mine = [each for each in found if each.tool is tool]
        reported = _by_time([rows for rows in late if rows.destination == tool.name])
        for hours, count in reported.items():
            waiting = {
                each.form
                for each in mine
                if each.begun and now >= each.begun + hours + SLACK and not comparison.is_slow(each)
            }
            if count < len(waiting):
                raise Violation(
                    f"I3: {tool.name} still mails {len(waiting)} after {hours}, {count} reported"
                )
            if count > (most := _most(comparison, tool, mine, hours, now)):
                raise Violation(f"I3: {tool.name} is reported late for {count}, it is for {most}")


def _by_time(late: Sequence[LateRows]) -> dict[timedelta, int]:
    """How many rows are reported for at least so long."""
    counts: Counter[timedelta] = Counter()
    for rows in late:
        for hours in AFTER.values():
            counts[hours] += rows.count if AFTER[rows.stage] >= hours else 0
    return {hours: counts[hours] for hours in AFTER.values()}


def _most(
    comparison: Comparison,
    tool: Tool,
    mine: Sequence[Difference],
    hours: timedelta,
    now: datetime,
) -> int:
    """How many addresses may wait for so long at this tool, or may seem to."""
    free_since = comparison.free_since(tool)
    if free_since and now > free_since + RETRIED:
        waiting = {each.form.text for each in mine}
        waiting |= {text for text, at in tool.put_off.items() if now - at < PUT_OFF}
        return len(waiting.union(_new(comparison, tool, now - RETRIED)))
    before = now - hours + SLACK
    return sum(
        len(forms_of(person))
        for person, opt_outs in comparison.oracle.opt_outs.items()
        if any(min(opt_out.first, opt_out.received) <= before for opt_out in opt_outs)
    )


def _new(comparison: Comparison, tool: Tool, since: datetime) -> Iterator[str]:
    """Addresses of which something has become known of late: an old opt-out may be about them."""
    for person, opt_outs in comparison.oracle.opt_outs.items():
        times = [opt_out.received for opt_out in opt_outs]
        times.append(comparison.oracle.changed.get(person, START))
        for form in forms_of(person):
            own = comparison.known.get(form, START), tool.contacts.get(form.text, START)
            if max([*times, *own]) > since:
                yield form.text
