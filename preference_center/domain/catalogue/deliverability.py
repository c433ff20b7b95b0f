"""Reading `[deliverability]`: which bounces suppress, and what a complaint stops."""

from __future__ import annotations

import re
from datetime import timedelta

from preference_center.domain.bounces import (
    AT_ONCE,
    DEFAULT_THRESHOLDS,
    NEVER,
    ComplaintStops,
    Policy,
    Threshold,
)
from preference_center.domain.catalogue.reader import Table, did_you_mean, quoted

_FIELDS = ("complaints_stop", "soft_days", "counted_days", "codes")
_THRESHOLD = ("events", "days", "for_good")
_WORDS = {"never": NEVER, "at_once": AT_ONCE}
_CODE = re.compile(r"[45]\.(?:\d{1,3}\.(?:\d{1,3}|x)|x\.x)")
_MOST_DAYS = 366
_MOST_EVENTS = 100


def read_deliverability(file: Table) -> Policy:
    """The policy, with what RULES F10 says where it is silent."""
    table = file.below("deliverability", _FIELDS)
    if table is None:
        return Policy()
    default = Policy()
    soft = table.number("soft_days", 1, _MOST_DAYS, default.soft_for.days)
    counted = table.number("counted_days", 1, _MOST_DAYS, default.counted_for.days)
    counted_for = default.counted_for if counted is None else timedelta(days=counted)
    return Policy(
        thresholds={**DEFAULT_THRESHOLDS, **_codes(table, counted_for.days)},
        soft_for=default.soft_for if soft is None else timedelta(days=soft),
        counted_for=counted_for,
        complaints_stop=table.choice("complaints_stop", ComplaintStops) or default.complaints_stop,
    )


def _codes(table: Table, counted_days: int) -> dict[str, Threshold]:
    if table.value("codes", dict, '{ "5.2.2" = "never" }') is None:
        return {}
    codes = table.keys("codes")
    below = table.below("codes", codes)
    assert below is not None  # it is there, and a table
    found = {}
    for code in codes:
        if _CODE.fullmatch(code):
            found[code] = _threshold(below, code, counted_days)
        else:
            remedy = 'write an enhanced status code in quotes, "5.2.2", or all of a kind, "5.3.x"'
            below.fault(f"{quoted(code)} is no code of a bounce", remedy, code)
    return found


def _threshold(codes: Table, code: str, counted_days: int) -> Threshold:
    if isinstance(codes.raw(code), dict):
        return _counted(codes, code, counted_days)
    example = '"never", "at_once" or { events = 3, days = 2 }'
    word = codes.raw(code)
    if isinstance(word, str) and word in _WORDS:
        return _WORDS[word]
    near = did_you_mean(word, _WORDS) if isinstance(word, str) else None
    told = quoted(word) if isinstance(word, str) else "that"
    codes.fault(f"{quoted(code)} can't be {told}", near or f"write {example}", code)
    return NEVER


def _counted(codes: Table, code: str, counted_days: int) -> Threshold:
    table = codes.below(code, _THRESHOLD)
    assert table is not None  # it is a table
    events = table.number("events", 1, _MOST_EVENTS, 3)
    days = table.number("days", 1, _MOST_EVENTS, 2)
    if "events" not in table:
        table.fault(f"{quoted(code)} has no events", "add events = 3")
    elif events is not None and days is not None and days > events:
        what = f"{events} events can't come on {days} days"
        table.fault(what, "let days be at most events", "days")
    elif days is not None and days > counted_days:
        what = f"{days} days are longer than a bounce counts"
        table.fault(what, "lower days, or raise counted_days", "days")
    return Threshold(events or 1, days or 1, soft=not table.flag("for_good"))
